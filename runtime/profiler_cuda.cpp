#include "runtime/profiler.h"
#include "runtime/profiler_log.h"

#ifdef PAL_CUDA
#include <vector>

#include "runtime/cuda.h"
#include "runtime/launch.cuh"
#ifndef PAL_EMULATE_CUDA
#include <nvtx3/nvToolsExt.h>
#endif
#endif

namespace pal {

namespace profiler_log {

#if defined(PAL_CUDA) && !defined(PAL_EMULATE_CUDA)
void push_range(const char* name) { nvtxRangePushA(name); }
void pop_range() { nvtxRangePop(); }
#else
void push_range(const char*) {}
void pop_range() {}
#endif

}  // namespace profiler_log

namespace cuda {

#ifndef PAL_CUDA

void ProfileScope::begin() {}
void ProfileScope::end() {}
void collect_profile() {}

#else

namespace {

/// Scopes that may wait for their times before those already over are collected: an event lives in
/// the driver, and a long run has millions of scopes.
constexpr size_t kMostWaiting = 8192;

int64_t nanoseconds_between(cudaEvent_t from, cudaEvent_t to) {
  float milliseconds = 0.0F;
  PAL_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, from, to));
  return static_cast<int64_t>(static_cast<double>(milliseconds) * 1e6);
}

struct Timed {
  profiler_log::Call call;  // without times
  size_t depth = 0;
  cudaEvent_t start = nullptr;
  cudaEvent_t stop = nullptr;
};

/// The scopes of the stream. Each records two events, whose times nobody asks for until results are
/// wanted or too many wait; then the oldest are collected, in the order of their ends. Inner scopes
/// end before their group, so when a group of depth d comes, inner[d + 1] holds the time of the
/// scopes inside it, which is taken off its own. Times count from `base`, an event of which the
/// CPU's time is known; it moves along with the collected scopes. Events are used again: making one
/// costs as much as a launch.
struct Events {
  std::vector<cudaEvent_t> spare;
  std::vector<Timed> timed;  // in the order of their ends
  cudaEvent_t base = nullptr;
  int64_t base_time = 0;  // of `base` on the clock of now(), nanoseconds
  size_t depth = 0;
  bool inside_cost = false;
  std::vector<int64_t> inner;  // by depth: time of collected scopes whose group is not yet

  cudaEvent_t record() {
    cudaEvent_t event = nullptr;
    if (spare.empty()) {
      PAL_CUDA_CHECK(cudaEventCreate(&event));
    } else {
      event = spare.back();
      spare.pop_back();
    }
    PAL_CUDA_CHECK(cudaEventRecord(event, stream()));
    return event;
  }

  void collect_if_over(size_t count) {
    if (cudaEventQuery(timed[count - 1].stop) == cudaSuccess) return collect(count);
    // "Not ready" is no error for the check of the next launch to find.
    (void)cudaGetLastError();
  }

  /// Gives the first `count` scopes, which are over, to the profiler.
  void collect(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      Timed& t = timed[i];
      t.call.start = base_time + nanoseconds_between(base, t.start);
      t.call.duration = nanoseconds_between(t.start, t.stop);
      if (inner.size() < t.depth + 2) inner.resize(t.depth + 2);
      t.call.own = t.call.duration - inner[t.depth + 1];
      inner[t.depth + 1] = 0;
      inner[t.depth] += t.call.duration;
      profiler_log::add(t.call);
    }
    if (count == 0) return;
    // Times since a far base would be coarse: they come as 32-bit floats.
    for (size_t i = 0; i < count; ++i) {
      spare.push_back(timed[i].start);
      if (i + 1 < count) spare.push_back(timed[i].stop);
    }
    base_time += nanoseconds_between(base, timed[count - 1].stop);
    spare.push_back(base);
    base = timed[count - 1].stop;
    timed.erase(timed.begin(), timed.begin() + static_cast<std::ptrdiff_t>(count));
  }
};
Events& events() {
  static Events instance;
  return instance;
}

}  // namespace

void ProfileScope::begin() {
  Events& e = events();
  if (e.inside_cost) return;
  // Events of a recorded graph have no time of their own.
  if (is_capturing()) return;
  if (e.timed.size() >= kMostWaiting) e.collect_if_over(kMostWaiting / 2);
  if (e.base == nullptr) {
    // On the clock of the CPU's scopes, as far as the GPU had nothing to do.
    e.base = e.record();
    e.base_time = profiler_log::now();
  }
  start_event_ = e.record();
  profiler_log::push_range(name_);
  e.inside_cost = bytes_ > 0 || flops_ > 0;
  ++e.depth;
  started_ = true;
}

void ProfileScope::end() {
  profiler_log::pop_range();
  Events& e = events();
  e.inside_cost = false;
  --e.depth;
  try {
    e.timed.push_back(
        {{.name = name_, .bytes = bytes_, .flops = flops_, .peak = peak_, .gpu = true},
         e.depth,
         static_cast<cudaEvent_t>(start_event_),
         e.record()});
  } catch (const std::exception&) {
    // A lost measurement must not hide the error that is on its way.
  }
}

void collect_profile() {
  Events& e = events();
  if (e.timed.empty()) return;
  synchronize();
  e.collect(e.timed.size());
}

#endif

}  // namespace cuda

}  // namespace pal
