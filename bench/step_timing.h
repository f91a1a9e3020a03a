#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "layers/models/config.h"
#include "runtime/allocator.h"

namespace pal::bench {

struct StepOptions {
  ModelConfig model;
  int64_t batch = 0;
  /// Measured in turns on one model, so that they see the same machine.
  std::vector<ActivationPolicy> policies;
  int64_t steps = 5;  ///< of each policy, after one to warm up
  bool profile = false;
};

struct StepTiming {
  ActivationPolicy policy = ActivationPolicy::invert;
  std::vector<double> seconds;  ///< of each step, ascending
  MemoryStats memory;           ///< peaks of a step
  std::string kernels;          ///< Profiler::table() of all steps if asked for
  double fastest() const { return seconds.front(); }
  double median() const { return seconds[seconds.size() / 2]; }
};

/// Times whole training steps (zeroed gradients, forward, loss, backward, update) on random images
/// with a learning rate too small to matter.
std::vector<StepTiming> time_steps(const StepOptions& options);

}  // namespace pal::bench
