#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace pal {

/// Calls job(i) for every i in [0, count) on `workers` threads that take the next one when they are
/// done, and meanwhile, unless it is a matter of a moment, show(jobs begun) again and again on this
/// one. The first exception ends the work and is thrown here.
template <typename Job>
void run_jobs(int64_t count, int64_t workers, Job&& job, const std::function<void(int64_t)>& show) {
  std::atomic<int64_t> next = 0;
  std::atomic<int64_t> working = workers;
  std::mutex mutex;
  std::exception_ptr error;
  const auto work = [&] {
    try {
      for (int64_t i = next++; i < count; i = next++) job(i);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      next = count;
    }
    --working;
  };
  {
    std::vector<std::jthread> threads;
    for (int64_t w = 0; w < workers; ++w) threads.emplace_back(work);
    const auto quiet_until = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
    while (working > 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      if (show && std::chrono::steady_clock::now() > quiet_until)
        show(std::min(next.load(), count));
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace pal
