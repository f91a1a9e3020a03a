#pragma once
#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>

#include "runtime/launch.cuh"

namespace pal::cuda {

/// Milliseconds that the device takes for one of `runs` runs, each of which `start` asks it for.
/// Waits for the device; not while a graph is recorded.
inline double milliseconds_of(int runs, const std::function<void()>& start) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  static const std::array<cudaEvent_t, 2> events = [] {
    std::array<cudaEvent_t, 2> made{};
    for (cudaEvent_t& event : made) PAL_CUDA_CHECK(cudaEventCreate(&event));
    return made;
  }();
  // The stream waits until all runs were asked for: otherwise what is short would be timed by how
  // fast the host asks. It does not wait for long, as asking may mean waiting for the stream.
  static std::atomic<bool> all_asked;
  all_asked = false;
  PAL_CUDA_CHECK(cudaLaunchHostFunc(
      stream(),
      [](void*) {
        using Clock = std::chrono::steady_clock;
        const Clock::time_point end = Clock::now() + std::chrono::milliseconds(1);
        while (!all_asked && Clock::now() < end) {
        }
      },
      nullptr));
  PAL_CUDA_CHECK(cudaEventRecord(events[0], stream()));
  for (int i = 0; i < runs; ++i) start();
  PAL_CUDA_CHECK(cudaEventRecord(events[1], stream()));
  all_asked = true;
  PAL_CUDA_CHECK(cudaEventSynchronize(events[1]));
  float milliseconds = 0.0F;
  PAL_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, events[0], events[1]));
  return static_cast<double>(milliseconds) / runs;
}

}  // namespace pal::cuda
