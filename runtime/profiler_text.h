#pragma once
#include <string>
#include <vector>

#include "runtime/profiler_log.h"

// How the profiler's results are written.
namespace pal::profiler_text {

/// `roofs` may be null: then there is no column for them.
std::string table(const std::vector<KernelTotal>& rows, const Roofs* roofs);
std::string json(const std::vector<KernelTotal>& rows);

/// Chrome's trace-event format: processes are the CPU and the GPU, threads those of the CPU.
class Trace {
 public:
  void add(const profiler_log::Call& call, int thread);
  /// The whole text; says how many events were left out.
  std::string finish(size_t left_out) const;

 private:
  std::string events_;
  bool gpu_ = false;
};

}  // namespace pal::profiler_text
