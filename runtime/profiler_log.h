#pragma once
#include <cstdint>

#include "runtime/profiler.h"

// What the profiler's own files share; nobody else includes this.
namespace pal::profiler_log {

/// One finished call or phase, in nanoseconds. `name` is a string literal: calls are told apart by
/// its address, which costs less than its characters.
struct Call {
  const char* name = nullptr;
  int64_t start = 0;
  int64_t duration = 0;
  int64_t own = 0;  ///< duration without that of scopes inside
  int64_t bytes = 0;
  int64_t flops = 0;
  Peak peak = Peak::run;
  bool gpu = false;    ///< of the GPU's stream
  bool phase = false;  ///< a PhaseScope: an event of the trace, but no kernel
};
/// Adds a call to the sums (and, if it is kept, the trace) of this thread.
void add(const Call& call);

/// Nanoseconds of a steady clock.
int64_t now();

/// Opens and closes an NVTX range of this thread; nothing in a build without CUDA.
void push_range(const char* name);
void pop_range();

}  // namespace pal::profiler_log
