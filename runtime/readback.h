#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "runtime/tensor.h"

namespace pal {

/// Numbers on their way from a device to the host, without anyone waiting: the host asks for copies
/// in the order of the stream and takes them later, in the same order. At most `kDepth` under way.
class Readback {
 public:
  static constexpr int kDepth = 3;

  /// For copies of `count` f64 values each from tensors on `device`.
  Readback(int64_t count, Device device);
  ~Readback();
  Readback(const Readback&) = delete;
  Readback& operator=(const Readback&) = delete;

  /// Asks for a copy of a dense f64 tensor of `count` values as it is at this point of the stream.
  /// Throws usage for another tensor, or if kDepth copies are pending.
  void start(const Tensor& source);
  /// Copies asked for and not taken.
  int pending() const { return started_ - taken_; }
  /// The values of the oldest pending copy: waits for it, but for nothing that was asked of the
  /// device after it. Calls `meanwhile` again and again while it waits for a GPU; what that throws
  /// ends the wait, and the copy stays pending. Throws usage if none is pending.
  std::vector<double> take(const std::function<void()>& meanwhile = {});

 private:
  struct Slot;
  int64_t count_;
  Device device_;
  std::vector<std::unique_ptr<Slot>> slots_;
  int started_ = 0;
  int taken_ = 0;
};

}  // namespace pal
