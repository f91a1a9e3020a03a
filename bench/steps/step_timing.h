#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "bench/steps/stepper.h"
#include "runtime/allocator.h"

namespace pal::bench {

struct StepOptions {
  ModelConfig model;
  Device device;
  int64_t batch = 0;
  /// As policies_for takes them; measured in turns on one model, so that they see the same machine.
  std::vector<std::string> policies;
  int64_t steps = 5;   ///< timed ones of each policy
  bool graph = false;  ///< a CUDA graph for each policy
  bool profile = false;
};

struct StepTiming {
  std::string policy;
  /// Of one step, ascending: each step on the CPU, the mean over a row of steps on a GPU.
  std::vector<double> seconds;
  bool by_graph = false;
  bool finite = true;  ///< whether loss and gradients were to the end
  /// Peaks of a step; what is held from the system without what only other policies can use.
  MemoryStats memory;
  std::string kernels;  ///< Profiler::table() of some steps if asked for
  double fastest() const { return seconds.front(); }
  double median() const { return seconds[seconds.size() / 2]; }
};

/// Times whole training steps as pal-train runs them, batch after batch of random images that lie
/// on the device, with a learning rate too small to matter and without anchors. On a GPU a row of
/// steps is timed from an idle device to an idle device, with one step always left to do, after
/// those that choose plans and record a graph.
std::vector<StepTiming> time_steps(const StepOptions& options);

}  // namespace pal::bench
