#pragma once
#include <array>
#include <cstdint>

#include "runtime/cuda.h"
#include "runtime/tensor.h"

namespace pal {

/// Page-locked host memory for uploads that nobody waits for: while the device still reads one
/// buffer, the host fills the next. For one thread at a time; not while a CUDA graph is captured.
class StagingRing {
 public:
  static constexpr int kDepth = 3;

  StagingRing() = default;
  ~StagingRing();
  StagingRing(const StagingRing&) = delete;
  StagingRing& operator=(const StagingRing&) = delete;

  /// Copies a tensor of the CPU to one of equal shape and dtype on any device; to a GPU by way of
  /// the ring, so that the source may change at once.
  void upload(const Tensor& source, const Tensor& target);

  /// At least `bytes` bytes to fill, once the device has read what they held. They are the
  /// caller's until submitted(); a second call before that gives the same buffer. Throws
  /// environment without a device.
  void* acquire(int64_t bytes);
  /// All copies from the acquired buffer have been asked for, in the order of the stream.
  void submitted();

 private:
  struct Slot {
    void* memory = nullptr;
    int64_t bytes = 0;
    cuda::Event read;
  };
  std::array<Slot, kDepth> slots_;
  size_t current_ = 0;
};

}  // namespace pal
