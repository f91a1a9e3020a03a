#include "bench/step_timing.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "bench/random_images.h"
#include "layers/train_step.h"
#include "runtime/cuda.h"
#include "runtime/error.h"
#include "runtime/profiler.h"

namespace pal::bench {
namespace {

constexpr uint64_t kSeed = 1;
// Steps that a GPU does without anyone waiting for it.
constexpr int64_t kRow = 10;

/// One model and, for each policy, its training steps.
class Stepper {
 public:
  explicit Stepper(const StepOptions& options)
      : options_(options), model_(build_model(options.model)) {
    const ModelConfig& config = options.model;
    model_->materialise(kSeed);
    model_->to(options.device);
    sgd_ = std::make_unique<Sgd>(model_->parameters());
    for (size_t i = 0; i < options.policies.size(); ++i)
      steps_.push_back(std::make_unique<TrainStep>(*model_, *sgd_, options.graph));
    eager_ = std::make_unique<TrainStep>(*model_, *sgd_, false);
    input_.images =
        random_images({options.batch, config.image_size, config.image_size, config.channels})
            .to(options.device, Tag::data);
    input_.labels = labels(options.batch, config.classes);
    input_.sgd.learning_rate = 1e-6;
    input_.sgd.learning_rate_means = 1e-6;
  }

  /// Everything that only the first steps of a policy do. Later ones of a graph allocate nothing,
  /// so what a step needs is seen here.
  void warm_up(size_t policy, StepTiming& timing) {
    Allocator& allocator = Allocator::of(options_.device);
    run(policy, 1, timing);
    allocator.reset_peaks();
    if (options_.device.is_cuda()) run(policy, TrainStep::kWarmUps + 2, timing);
    timing.memory = allocator.stats();
    timing.by_graph = steps_[policy]->by_graph();
  }

  /// Seconds of one step, the mean over `count`.
  double time(size_t policy, int64_t count, StepTiming& timing) {
    synchronize();
    const auto start = std::chrono::steady_clock::now();
    run(policy, count, timing);
    synchronize();
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    return passed.count() / static_cast<double>(count);
  }

  std::string profile(size_t policy, int64_t count) {
    model_->set_policy(options_.policies[policy]);
    Profiler::reset();
    Profiler::enable();
    for (int64_t i = 0; i < count; ++i) {
      eager_->run(input_);
      eager_->take();
    }
    Profiler::disable();
    return Profiler::table();
  }

 private:
  void run(size_t policy, int64_t count, StepTiming& timing) {
    model_->set_policy(options_.policies[policy]);
    TrainStep& step = *steps_[policy];
    const auto take_down_to = [&](int pending) {
      while (step.pending() > pending) timing.finite = step.take().finite() && timing.finite;
    };
    for (int64_t i = 0; i < count; ++i) {
      step.run(input_);
      take_down_to(options_.device.is_cuda() ? 1 : 0);
    }
    take_down_to(0);
  }

  void synchronize() const {
    if (options_.device.is_cuda()) cuda::synchronize();
  }

  const StepOptions& options_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Sgd> sgd_;
  std::vector<std::unique_ptr<TrainStep>> steps_;
  std::unique_ptr<TrainStep> eager_;  // a graph is not profiled
  StepInput input_;
};

}  // namespace

std::vector<StepTiming> time_steps(const StepOptions& options) {
  expect(options.batch >= 1 && options.batch <= 65536, "--batch-size: expected 1 to 65536, got {}",
         options.batch);
  expect(options.steps >= 1 && options.steps <= 100000, "--steps: expected 1 to 100000, got {}",
         options.steps);
  Stepper stepper(options);
  std::vector<StepTiming> timings(options.policies.size());
  for (size_t i = 0; i < timings.size(); ++i) {
    timings[i].policy = options.policies[i];
    stepper.warm_up(i, timings[i]);
  }
  const int64_t row = options.device.is_cuda() ? std::min(options.steps, kRow) : 1;
  for (int64_t done = 0; done < options.steps; done += row)
    for (size_t i = 0; i < timings.size(); ++i) {
      Allocator::of(options.device).reset_peaks();
      timings[i].seconds.push_back(stepper.time(i, row, timings[i]));
      if (options.device.is_cpu()) timings[i].memory = Allocator::cpu().stats();
    }
  for (size_t i = 0; i < timings.size(); ++i) {
    std::ranges::sort(timings[i].seconds);
    // Apart from the timed steps: the profiler itself costs a little.
    if (options.profile) timings[i].kernels = stepper.profile(i, std::min(options.steps, kRow));
  }
  return timings;
}

}  // namespace pal::bench
