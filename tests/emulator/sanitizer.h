#pragma once
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PAL_EMULATOR_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define PAL_EMULATOR_ASAN 1
#endif
#if defined(PAL_EMULATOR_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#include <cstddef>

namespace emulator::detail {

#if defined(PAL_EMULATOR_ASAN)
inline constexpr bool kAsan = true;
#else
inline constexpr bool kAsan = false;
#endif

/// AddressSanitizer reports every later access to these bytes; nothing without it.
inline void poison([[maybe_unused]] const void* begin, [[maybe_unused]] std::size_t bytes) {
#if defined(PAL_EMULATOR_ASAN)
  __asan_poison_memory_region(begin, bytes);
#endif
}

inline void unpoison([[maybe_unused]] const void* begin, [[maybe_unused]] std::size_t bytes) {
#if defined(PAL_EMULATOR_ASAN)
  __asan_unpoison_memory_region(begin, bytes);
#endif
}

}  // namespace emulator::detail
