#pragma once
#include <cstddef>
#include <cstdint>
#include <source_location>

namespace emulator {

/// Tells two calls of a helper apart: barriers and warp functions reached under different scopes do
/// not match, even if they are on the same line of the helper. For helpers that take their caller's
/// std::source_location as a default argument.
class CallScope {
 public:
  explicit CallScope(std::source_location caller);
  ~CallScope();
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

 private:
  uint64_t outer_;
};

namespace detail {

/// What a kernel does in one block, called by the intrinsics on the fiber of the current thread.
enum class WarpFunction : uint8_t { sync, shuffle, ballot };

void barrier(const std::source_location& site);
/// Waits for the lanes of `mask`. Shuffle: the value of lane `source`. Ballot: the mask of lanes
/// whose value is not 0.
uint64_t warp_exchange(WarpFunction function, unsigned mask, uint64_t value, unsigned source,
                       const std::source_location& site);
/// Lane of the current thread in its warp.
unsigned lane();
[[noreturn]] void device_fault(const char* what, const std::source_location& site);

/// The block's array for `key`: red zones around it, all bytes 0xff at the start of the block.
void* shared_array(const void* key, std::size_t bytes, std::size_t alignment);
void* dynamic_shared_array();

}  // namespace detail

/// Static shared memory: `key` is an address that stands for the place in the source.
template <class T>
T* shared(const void* key, std::size_t n) {
  return static_cast<T*>(detail::shared_array(key, n * sizeof(T), alignof(T)));
}

/// The launch's dynamic shared memory, aligned to 16 bytes.
template <class T>
T* dynamic_shared() {
  return static_cast<T*>(detail::dynamic_shared_array());
}

}  // namespace emulator
