#include "experiments/measures/batch_norm_average.h"

#include "experiments/measures/evaluation.h"
#include "runtime/error.h"

namespace pal {

void reaverage_batch_norm(Model& model, Batches& loader, int64_t batches,
                          const std::function<bool()>& stop) {
  expect(batches >= 1, "reaverage_batch_norm: expected at least one batch, got {}", batches);
  for (int64_t k = 0; k < batches; ++k) {
    if (stop && stop()) throw Interrupted();
    model.set_average_count(k + 1);
    model.update_statistics(loader.batch(k / loader.steps(), k % loader.steps()).images);
  }
  model.set_average_count(0);
}

}  // namespace pal
