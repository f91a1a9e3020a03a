#pragma once
#include <cstdint>

#include "runtime/profiler.h"

// Between the profiler's own files.
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
  bool gpu = false;
  bool phase = false;
};
void add(const Call& call);

/// Of a steady clock, nanoseconds.
int64_t now();

/// NVTX ranges; nothing in a build without CUDA.
void push_range(const char* name);
void pop_range();

}  // namespace pal::profiler_log
