#pragma once
#include <functional>

namespace pal::bench {

/// Work of the device in use, timed by its own clock; no CUDA header is needed to include this.
/// Throws environment in a build without the CUDA backend.
class DeviceTimer {
 public:
  DeviceTimer();
  ~DeviceTimer();
  DeviceTimer(const DeviceTimer&) = delete;
  DeviceTimer& operator=(const DeviceTimer&) = delete;

  /// From the moment the device has done all it was asked for before to the moment it has done
  /// what `work` asks for, in seconds; waits for both.
  double seconds(const std::function<void()>& work);

 private:
  void* start_ = nullptr;
  void* stop_ = nullptr;
};

}  // namespace pal::bench
