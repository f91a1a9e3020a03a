#include "runtime/profiler.h"

#ifdef PAL_CUDA
#include <vector>

#include "runtime/cuda.h"
#include "runtime/launch.cuh"
#ifndef PAL_EMULATE_CUDA
#include <nvtx3/nvToolsExt.h>
#endif
#endif

namespace pal::cuda {

#ifndef PAL_CUDA

void ProfileScope::begin() {}
void ProfileScope::end() {}
void collect_profile() {}

#else

namespace {

struct Timed {
  const char* name;
  int64_t bytes;
  int64_t flops;
  cudaEvent_t start;
  cudaEvent_t stop;
};

/// Events are used again: making one costs as much as a launch.
struct Events {
  std::vector<cudaEvent_t> spare;
  std::vector<Timed> timed;
  cudaEvent_t base = nullptr;  // where the time of the trace begins

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
};
Events& events() {
  static Events instance;
  return instance;
}

int64_t nanoseconds_between(cudaEvent_t from, cudaEvent_t to) {
  float milliseconds = 0.0F;
  PAL_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, from, to));
  return static_cast<int64_t>(static_cast<double>(milliseconds) * 1e6);
}

}  // namespace

void ProfileScope::begin() {
  // Events of a recorded graph have no time of their own.
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  PAL_CUDA_CHECK(cudaStreamIsCapturing(stream(), &status));
  if (status != cudaStreamCaptureStatusNone) return;
#ifndef PAL_EMULATE_CUDA
  nvtxRangePushA(name_);
#endif
  if (events().base == nullptr) events().base = events().record();
  start_event_ = events().record();
  started_ = true;
}

void ProfileScope::end() {
#ifndef PAL_EMULATE_CUDA
  nvtxRangePop();
#endif
  try {
    events().timed.push_back(
        {name_, bytes_, flops_, static_cast<cudaEvent_t>(start_event_), events().record()});
  } catch (const std::exception&) {
    // A lost measurement must not hide the error that is on its way.
  }
}

void collect_profile() {
  Events& e = events();
  if (e.timed.empty()) return;
  synchronize();
  for (const Timed& t : e.timed) {
    Profiler::add(t.name, nanoseconds_between(e.base, t.start),
                  nanoseconds_between(t.start, t.stop), t.bytes, t.flops);
    e.spare.push_back(t.start);
    e.spare.push_back(t.stop);
  }
  e.timed.clear();
}

#endif

}  // namespace pal::cuda
