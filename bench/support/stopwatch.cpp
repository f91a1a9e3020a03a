#include "bench/support/stopwatch.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>

#include "bench/support/device_timer.h"
#include "runtime/allocator.h"
#include "runtime/cuda_graph.h"

namespace pal::bench {
namespace {

// A row of calls on a GPU: long beside the microseconds between two events without work.
constexpr double kRowSeconds = 5e-3;
constexpr double kMostCalls = 200.0;

double wall_seconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// A row of calls on the GPU in use.
class Row {
 public:
  Row(Work work, Device device, Calls calls) : work_(std::move(work)), pool_(device) {
    work_();
    const double seconds = timer_.seconds(work_);
    count_ =
        static_cast<int64_t>(std::clamp(kRowSeconds / std::max(seconds, 1e-9), 1.0, kMostCalls));
    if (calls == Calls::direct) return;
    const Allocator::PoolScope scope(pool_);
    const Allocator::RecordingScope recording(pool_);
    graph_.capture([&] { call_all(); });
    graph_.launch();
  }

  double seconds() {
    const Work row = [this] {
      if (graph_.captured())
        graph_.launch();
      else
        call_all();
    };
    return timer_.seconds(row) / static_cast<double>(count_);
  }

 private:
  void call_all() const {
    for (int64_t i = 0; i < count_; ++i) work_();
  }

  Work work_;
  Allocator::Pool pool_;
  CudaGraph graph_;
  DeviceTimer timer_;
  int64_t count_ = 1;
};

}  // namespace

Stopwatch stopwatch(const Work& work, Device device, Calls calls) {
  if (device.is_cuda())
    return [row = std::make_shared<Row>(work, device, calls)] { return row->seconds(); };
  work();
  return [work] { return wall_seconds(work); };
}

}  // namespace pal::bench
