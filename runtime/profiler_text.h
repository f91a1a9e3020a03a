#pragma once
#include <string>
#include <vector>

#include "runtime/profiler_log.h"

// How the profiler's results are written.
namespace pal::profiler_text {

/// The rows as a table for people, their sum below. `roofs` may be null: then there is no column
/// for them.
std::string table(const std::vector<KernelTotal>& rows, const Roofs* roofs);
/// The rows as a JSON array.
std::string json(const std::vector<KernelTotal>& rows);

/// Writes calls in Chrome's trace-event format: processes are the CPU and the GPU, threads those of
/// the CPU.
class Trace {
 public:
  /// Appends a call of the CPU's thread `thread`, or one of the GPU.
  void add(const profiler_log::Call& call, int thread);
  /// The whole trace, which also says that `left_out` events are missing.
  std::string finish(size_t left_out) const;

 private:
  std::string events_;
  bool gpu_ = false;
};

}  // namespace pal::profiler_text
