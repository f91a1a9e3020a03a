#include "runtime/staging.h"

namespace pal {

StagingRing::~StagingRing() {
  for (const Slot& slot : slots_) cuda::release_pinned(slot.memory);
}

void StagingRing::upload(const Tensor& source, const Tensor& target) {
  if (target.device().is_cpu()) return target.copy_from(source);
  const Tensor staged =
      Tensor::borrowed(acquire(source.bytes()), source.shape(), source.dtype(), Device());
  staged.copy_from(source);
  target.copy_from(staged);
  submitted();
}

void* StagingRing::acquire(int64_t bytes) {
  Slot& slot = slots_[current_];
  slot.read.wait();
  if (slot.bytes < bytes) {
    cuda::release_pinned(slot.memory);
    slot.memory = nullptr;
    slot.bytes = 0;
    slot.memory = cuda::allocate_pinned(bytes);
    slot.bytes = bytes;
  }
  return slot.memory;
}

void StagingRing::submitted() {
  slots_[current_].read.record();
  current_ = (current_ + 1) % kDepth;
}

}  // namespace pal
