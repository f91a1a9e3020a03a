#include "experiments/measures/batch_norm_average.h"

#include "experiments/measures/rank_rounds.h"
#include "kernels/arrays/elementwise.h"
#include "runtime/error.h"

namespace pal {

void average_over_ranks(const Tensor& values, int64_t images, Communicator& ranks,
                        Communicator& host) {
  const auto mine = static_cast<double>(images);
  const double share = mine / sum_over_ranks(host, mine);
  if (values.numel() == 0 || ranks.size() == 1) return;
  PAL_BACKEND(values, scale(values, share));
  ranks.all_reduce(values);
}

void reaverage_batch_norm(Model& model, Batches& loader, int64_t batches,
                          const std::function<bool()>& stop, Communicator* host) {
  expect(batches >= 1, "reaverage_batch_norm: expected at least one batch, got {}", batches);
  RankRounds rounds(host, loader.options().bad_images);
  int64_t images = 0;
  for (int64_t k = 0; k < batches * loader.parts(); ++k)
    rounds.round(
        [&] {
          if (stop && stop()) throw Interrupted();
          const Batch batch = loader.batch(k / loader.steps(), k % loader.steps());
          images += static_cast<int64_t>(batch.indices.size());
          model.set_average_count(k + 1);
          model.update_statistics(batch.images);
          return Message();
        },
        [](Message&) {});
  rounds.finish();
  model.set_average_count(0);
  if (rounds.size() == 1) return;
  const Tensor& statistics = model.parameters().all_statistics();
  const Tensor mean = statistics.to(Device()).clone();
  average_over_ranks(mean, images, *host, *host);
  statistics.copy_from(mean);
}

}  // namespace pal
