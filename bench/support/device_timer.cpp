#include "bench/support/device_timer.h"

#include "runtime/error.h"

#ifdef PAL_CUDA
#include "runtime/launch.cuh"
#endif

namespace pal::bench {

#ifndef PAL_CUDA

DeviceTimer::DeviceTimer() {
  fail(ErrorKind::environment, "DeviceTimer: this build has no CUDA backend");
}
DeviceTimer::~DeviceTimer() = default;
double DeviceTimer::seconds(const std::function<void()>&) { return 0.0; }

#else

namespace {

cudaEvent_t event_of(void* event) { return static_cast<cudaEvent_t>(event); }

}  // namespace

DeviceTimer::DeviceTimer() {
  cudaEvent_t events[2] = {};
  for (cudaEvent_t& event : events) PAL_CUDA_CHECK(cudaEventCreate(&event));
  start_ = events[0];
  stop_ = events[1];
}

DeviceTimer::~DeviceTimer() {
  (void)cudaEventDestroy(event_of(start_));
  (void)cudaEventDestroy(event_of(stop_));
}

double DeviceTimer::seconds(const std::function<void()>& work) {
  // An idle device: what came before must not be counted.
  PAL_CUDA_CHECK(cudaStreamSynchronize(cuda::stream()));
  PAL_CUDA_CHECK(cudaEventRecord(event_of(start_), cuda::stream()));
  work();
  PAL_CUDA_CHECK(cudaEventRecord(event_of(stop_), cuda::stream()));
  PAL_CUDA_CHECK(cudaEventSynchronize(event_of(stop_)));
  float milliseconds = 0.0F;
  PAL_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, event_of(start_), event_of(stop_)));
  return 1e-3 * static_cast<double>(milliseconds);
}

#endif

}  // namespace pal::bench
