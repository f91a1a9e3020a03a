#include "bench/steps/step_timing.h"

#include <algorithm>
#include <chrono>

#include "runtime/error.h"
#include "runtime/profiler.h"

namespace pal::bench {
namespace {

// Steps that a GPU does without anyone waiting for it.
constexpr int64_t kRow = 10;

void run(Stepper& stepper, int64_t count, StepTiming& timing) {
  for (const StepResult& result : stepper.run(timing.policy, count))
    timing.finite = result.taken() && timing.finite;
}

/// Everything that only the first steps of a policy do. Later ones of a graph allocate nothing, so
/// what a step needs is seen here.
void warm_up(Stepper& stepper, Device device, StepTiming& timing) {
  Allocator& allocator = Allocator::of(device);
  allocator.trim();
  const MemoryStats before = allocator.stats();
  run(stepper, 1, timing);
  // Scratch memory of algorithms that were tried and not chosen.
  allocator.trim();
  allocator.reset_peaks();
  if (device.is_cuda()) run(stepper, TrainStep::kWarmUps + 2, timing);
  timing.memory = allocator.stats();
  // A graph's pool has given that scratch memory back when it was recorded.
  timing.memory.peak_reserved = timing.memory.reserved - (before.reserved - before.current_total);
  timing.by_graph = stepper.by_graph(timing.policy);
}

/// Seconds of one step, the mean over `count`.
double time(Stepper& stepper, int64_t count, StepTiming& timing) {
  stepper.synchronize();
  const auto start = std::chrono::steady_clock::now();
  run(stepper, count, timing);
  stepper.synchronize();
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
  return passed.count() / static_cast<double>(count);
}

std::string profile(Stepper& stepper, const std::string& policy, int64_t count) {
  Profiler::reset();
  Profiler::enable();
  stepper.run_eagerly(policy, count);
  Profiler::disable();
  return Profiler::table();
}

}  // namespace

std::vector<StepTiming> time_steps(const StepOptions& options) {
  expect(options.batch >= 1 && options.batch <= 65536, "--batch-size: expected 1 to 65536, got {}",
         options.batch);
  expect(options.steps >= 1 && options.steps <= 100000, "--steps: expected 1 to 100000, got {}",
         options.steps);
  Stepper stepper({.model = options.model,
                   .device = options.device,
                   .batch = options.batch,
                   .graph = options.graph});
  std::vector<StepTiming> timings(options.policies.size());
  for (size_t i = 0; i < timings.size(); ++i) {
    timings[i].policy = options.policies[i];
    warm_up(stepper, options.device, timings[i]);
  }
  const int64_t row = options.device.is_cuda() ? std::min(options.steps, kRow) : 1;
  for (int64_t done = 0; done < options.steps; done += row)
    for (StepTiming& timing : timings) {
      Allocator::of(options.device).reset_peaks();
      timing.seconds.push_back(time(stepper, row, timing));
      if (options.device.is_cpu()) timing.memory = Allocator::cpu().stats();
    }
  for (StepTiming& timing : timings) {
    std::ranges::sort(timing.seconds);
    // Apart from the timed steps: the profiler itself costs a little.
    if (options.profile)
      timing.kernels = profile(stepper, timing.policy, std::min(options.steps, kRow));
  }
  return timings;
}

}  // namespace pal::bench
