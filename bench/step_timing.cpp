#include "bench/step_timing.h"

#include <algorithm>
#include <chrono>

#include "bench/random_images.h"
#include "layers/models/ib_inn.h"
#include "layers/sgd.h"
#include "runtime/error.h"
#include "runtime/profiler.h"

namespace pal::bench {
namespace {

constexpr uint64_t kSeed = 1;

class Stepper {
 public:
  explicit Stepper(const StepOptions& options)
      : model_(options.model, kSeed),
        sgd_(model_.parameters()),
        x_(random_images({options.batch, options.model.image_size, options.model.image_size,
                          options.model.channels})),
        targets_(one_hot_targets(options.batch, options.model.classes)) {}

  void step(ActivationPolicy policy) {
    model_.chain().set_options({.policies = {policy}, .anchors = {}});
    model_.parameters().zero_grad();
    model_.train_step(x_, targets_, {});
    sgd_.step({.learning_rate = 1e-6, .learning_rate_means = 1e-6});
  }

 private:
  IbInn model_;
  Sgd sgd_;
  Tensor x_;
  Tensor targets_;
};

}  // namespace

std::vector<StepTiming> time_steps(const StepOptions& options) {
  expect(options.batch >= 1 && options.batch <= 65536, "--batch-size: expected 1 to 65536, got {}",
         options.batch);
  expect(options.steps >= 1 && options.steps <= 100000, "--steps: expected 1 to 100000, got {}",
         options.steps);
  Stepper stepper(options);
  std::vector<StepTiming> timings(options.policies.size());
  for (int64_t round = -1; round < options.steps; ++round)
    for (size_t i = 0; i < timings.size(); ++i) {
      timings[i].policy = options.policies[i];
      Allocator::cpu().reset_peaks();
      const auto start = std::chrono::steady_clock::now();
      stepper.step(timings[i].policy);
      const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
      if (round >= 0) timings[i].seconds.push_back(passed.count());
      timings[i].memory = Allocator::cpu().stats();
    }
  for (StepTiming& timing : timings) {
    std::ranges::sort(timing.seconds);
    if (!options.profile) continue;
    // Apart from the timed steps: the profiler itself costs a little.
    Profiler::reset();
    Profiler::enable();
    for (int64_t round = 0; round < options.steps; ++round) stepper.step(timing.policy);
    Profiler::disable();
    timing.kernels = Profiler::table();
  }
  return timings;
}

}  // namespace pal::bench
