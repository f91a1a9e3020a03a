#pragma once
#include <cstddef>

namespace emulator::detail {

inline constexpr std::size_t kSharedBytes = 48 * 1024;        ///< of a block, without asking
inline constexpr std::size_t kSharedBytesOptIn = 227 * 1024;  ///< by cudaFuncSetAttribute

/// The shared memory of the launch that runs; its arrays end with this object.
class SharedMemoryScope {
 public:
  SharedMemoryScope(std::size_t dynamic_bytes, std::size_t limit);
  ~SharedMemoryScope();
  SharedMemoryScope(const SharedMemoryScope&) = delete;
  SharedMemoryScope& operator=(const SharedMemoryScope&) = delete;
};

}  // namespace emulator::detail
