#pragma once
#include <array>
#include <cstdint>

#include "runtime/cuda.h"
#include "runtime/tensor.h"

namespace pal {

/// Uploads that nobody waits for. Each slot is a page-locked buffer, which the host fills while the
/// device still reads the other one, and a block on the device: copies between them have a stream
/// of their own, so that they run beside the work asked for earlier. What reads a block waits for
/// its copy, and the next copy into it for what reads it, both on the device. Only the ring's own
/// blocks are written by that stream: all other memory stays in the order of the stream for
/// computing, as the Allocator asks. For one thread at a time; not while a CUDA graph is captured.
class StagingRing {
 public:
  static constexpr int kDepth = 2;

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
  /// Asks for the copy of the first `bytes` bytes of the acquired buffer. Returns them on `device`,
  /// u8 [bytes], for work asked for before submitted(). Throws usage while a graph is captured, and
  /// if the block must grow inside a PoolScope, where it would not be the ring's alone.
  Tensor send(int64_t bytes, Device device);
  /// All work that reads what was sent has been asked for; the next slot takes its turn.
  void submitted();

 private:
  struct Slot {
    void* memory = nullptr;
    int64_t bytes = 0;
    Tensor block;      // u8, on the device
    cuda::Event sent;  // of the stream for uploads: the copy from memory to block
    cuda::Event read;  // of the stream for computing: what reads block
  };
  std::array<Slot, kDepth> slots_;
  size_t current_ = 0;
};

}  // namespace pal
