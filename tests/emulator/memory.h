#pragma once
#include <cstddef>
#include <cstdint>

namespace emulator::detail {

enum class Space : uint8_t { host, pinned, device };

/// Null if the limit is exceeded. Filled with 0xff. Device memory is aligned to 256 bytes and,
/// under AddressSanitizer, closed to the host except during device work.
void* allocate(std::size_t bytes, Space space);
/// False if `begin` was not allocated in this space. Null is allowed.
bool release(void* begin, Space space);
Space space_of(const void* pointer);
/// In device or pinned memory, or at its end.
bool is_device_accessible(const void* pointer);
/// Whether the usable part of one allocation of `space` holds all these bytes.
bool is_inside(const void* begin, std::size_t bytes, Space space);
std::size_t memory_limit();

/// Opens device memory to this process while it lives. May be nested. One thread at a time works
/// on the device; others wait.
class DeviceWork {
 public:
  DeviceWork();
  ~DeviceWork();
  DeviceWork(const DeviceWork&) = delete;
  DeviceWork& operator=(const DeviceWork&) = delete;
  /// Work done in about this time. Closing after every small kernel would cost more than the
  /// kernels if much memory is allocated, so large memory stays open until enough work was done.
  void charge(int64_t nanoseconds);
};

/// Closes device memory if it was left open; called by whatever the host waits with.
void close_device_memory();

}  // namespace emulator::detail
