#include "bench/libtorch/counting_allocator.h"

#include <c10/core/CPUAllocator.h>
#include <malloc.h>

#include <atomic>

namespace rival {
namespace {

std::atomic<int64_t> current{0};
std::atomic<int64_t> peak{0};

void count(int64_t bytes) {
  const int64_t now = current.fetch_add(bytes) + bytes;
  int64_t highest = peak.load();
  while (now > highest && !peak.compare_exchange_weak(highest, now)) {
  }
}

/// Of a block of the allocator below, which takes them from malloc: what it may hold, so up to a
/// few bytes more than a tensor asked for.
int64_t bytes_of(void* block) { return static_cast<int64_t>(malloc_usable_size(block)); }

void release(void* block) {
  if (block == nullptr) return;
  count(-bytes_of(block));
  c10::GetDefaultCPUAllocator()->raw_deallocate(block);
}

/// PyTorch wants the data itself as an allocation's context, so there is no place for its size.
class CountingAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* const block = c10::GetDefaultCPUAllocator()->raw_allocate(bytes);
    if (block != nullptr) count(bytes_of(block));
    return {block, block, &release, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* target, const void* source, size_t bytes) const override {
    default_copy_data(target, source, bytes);
  }
};

}  // namespace

void count_tensor_bytes(bool keep) {
  if (keep) {
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, -1);
    mallopt(M_TOP_PAD, 64 << 20);
  }
  // PyTorch never gives an allocator back.
  static CountingAllocator allocator;
  constexpr uint8_t kAboveDefault = 1;
  c10::SetCPUAllocator(&allocator, kAboveDefault);
}

TensorBytes tensor_bytes() { return {current.load(), peak.load()}; }

void reset_peak_tensor_bytes() { peak.store(current.load()); }

}  // namespace rival
