#include "runtime/staging.h"

#include "runtime/error.h"

namespace pal {

StagingRing::~StagingRing() {
  for (const Slot& slot : slots_) cuda::release_pinned(slot.memory);
}

void StagingRing::upload(const Tensor& source, const Tensor& target) {
  if (target.device().is_cpu()) return target.copy_from(source);
  const auto like_source = [&](void* memory, Device device) {
    return Tensor::borrowed(memory, source.shape(), source.dtype(), device);
  };
  like_source(acquire(source.bytes()), Device()).copy_from(source);
  const Tensor sent = send(source.bytes(), target.device());
  target.copy_from(like_source(sent.raw(), sent.device()));
  submitted();
}

void* StagingRing::acquire(int64_t bytes) {
  Slot& slot = slots_[current_];
  slot.sent.wait();
  if (slot.bytes < bytes) {
    cuda::release_pinned(slot.memory);
    slot.memory = nullptr;
    slot.bytes = 0;
    slot.memory = cuda::allocate_pinned(bytes);
    slot.bytes = bytes;
  }
  return slot.memory;
}

Tensor StagingRing::send(int64_t bytes, Device device) {
  expect(!cuda::is_capturing(), "StagingRing: an upload while a graph is captured");
  Slot& slot = slots_[current_];
  // The emulator watches the borders of a block that fits.
  const int64_t held = slot.block.defined() ? slot.block.numel() : 0;
  if (cuda::emulated() ? held != bytes : held < bytes) {
    Allocator& allocator = Allocator::of(device);
    expect(!allocator.pooled(), "StagingRing: a first or larger upload inside a PoolScope");
    slot.block = Tensor();
    slot.block = Tensor::empty({bytes}, DType::u8, Tag::data, device);
    // Whoever had this memory before may still be at work on it.
    slot.read.record();
  }
  slot.read.hold(cuda::Stream::upload);
  cuda::upload(slot.block.raw(), slot.memory, bytes);
  slot.sent.record(cuda::Stream::upload);
  slot.sent.hold(cuda::Stream::compute);
  return slot.block.view_at(0, {bytes});
}

void StagingRing::submitted() {
  slots_[current_].read.record();
  current_ = (current_ + 1) % kDepth;
}

}  // namespace pal
