#pragma once
#include <cstring>

#include "kernels/common/backend.h"

namespace pal::reduce_math {

/// Whether a value is infinite or not a number: its exponent bits are all ones.
PAL_HD bool is_broken(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return (bits & 0x7f800000U) == 0x7f800000U;
}
PAL_HD bool is_broken(double value) {
  constexpr uint64_t kExponent = 0x7ff0000000000000U;
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return (bits & kExponent) == kExponent;
}
PAL_HD bool is_broken(bfloat16 value) { return (value.bits & 0x7f80U) == 0x7f80U; }

}  // namespace pal::reduce_math
