// Models on the GPU whose batch norms have the statistics of several ranks: as on the CPU.
#include <gtest/gtest.h>

#include "kernels/arrays/elementwise.h"
#include "layers/models/ib_inn.h"
#include "runtime/communicator/communicator.h"
#include "tests/cuda/parity.h"
#include "tests/support/random_batch.h"
#include "tests/support/tiny_model.h"

namespace pal::test {
namespace {

/// One of several ranks that all have the same values, on any device.
class EqualRanks : public Communicator {
 public:
  explicit EqualRanks(int size) : Communicator(0, size) {}
  void all_reduce(const Tensor& values) override {
    PAL_BACKEND(values, scale(values, static_cast<double>(size())));
  }
  void all_gather(const Tensor& mine, const Tensor& all) override {
    for (int r = 0; r < size(); ++r) all.view_at(r * mine.numel(), mine.shape()).copy_from(mine);
  }
  void broadcast(const Tensor&, int) override {}
  void start_all_reduce(const Tensor& values) override { all_reduce(values); }
  void finish() override {}
};

// Ranks of equal batches: running variances are those of more rows, all else is as of one.
TEST(SynchronisedNormsCuda, AStepMatchesTheCpus) {
  const ModelConfig config = testing::tiny_config();
  const testing::RandomBatch batch = testing::seeded_batch(config, 3);
  for (const ActivationPolicy policy : {ActivationPolicy::store, ActivationPolicy::invert}) {
    EqualRanks ranks(3);
    IbInn wanted(config, 3), found(config, 3), alone(config, 3);
    found.to(gpu());
    for (IbInn* model : {&wanted, &found, &alone}) {
      model->set_policy(policy);
      if (model != &alone) model->synchronise_norms(&ranks);
      (void)model->forward_backward(batch.images.to(model->device(), Tag::data),
                                    batch.targets.to(model->device(), Tag::data), {});
    }
    const auto scaled = [&](const IbInn& model) {
      const Tensor copy = on_cpu(model.parameters().all_grads()).clone();
      cpu::scale(copy, 1.0 / testing::largest_magnitude(wanted.parameters().all_grads()));
      return copy;
    };
    const double tolerance = policy == ActivationPolicy::invert ? 2e-2 : 2e-3;
    expect_close(scaled(wanted), scaled(found), tolerance, name_of(policy));
    expect_close(scaled(alone), scaled(found), tolerance, name_of(policy));
    expect_close(wanted.parameters().all_statistics(), found.parameters().all_statistics(), 1e-4,
                 "running statistics");
  }
}

}  // namespace
}  // namespace pal::test
