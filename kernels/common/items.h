#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>

#include "runtime/dtype.h"
#include "runtime/error.h"

// Work items of CUDA kernels, counted in 32 bits: finding an item's place takes divisions, and
// those of 64 bits would cost more time than moving the data.
namespace pal {

/// Most items of one launch: their quotients by a Divisor are exact.
inline constexpr int64_t kMostItems = (int64_t{1} << 31) - 1;

/// Division of numbers up to kMostItems by one that only the host knows, as a multiplication
/// (Granlund and Montgomery 1994).
class Divisor {
 public:
  /// Throws usage unless 1 <= divisor <= kMostItems.
  explicit Divisor(int64_t divisor) {
    expect(divisor >= 1 && divisor <= kMostItems, "cuda: no kernel for an extent of {}", divisor);
    divisor_ = static_cast<uint32_t>(divisor);
    shift_ = static_cast<uint32_t>(std::bit_width(divisor_ - 1));
    const uint64_t rest = (uint64_t{1} << shift_) - divisor_;
    multiplier_ = static_cast<uint32_t>((rest << 32) / divisor_ + 1);
  }

  /// The divisor.
  PAL_HD uint32_t value() const { return divisor_; }
  /// number / divisor, rounded down; number <= kMostItems.
  PAL_HD uint32_t quotient(uint32_t number) const {
    const auto high = static_cast<uint32_t>((static_cast<uint64_t>(number) * multiplier_) >> 32);
    return (high + number) >> shift_;
  }

 private:
  uint32_t divisor_;
  uint32_t shift_;
  uint32_t multiplier_;
};

/// Cuts [0, total) into consecutive parts that bring at most `most` work items each, where each of
/// the total (a sample, a row) brings `items`, and calls body(first, count) for them in order.
/// Throws usage if a single one brings more.
template <typename Body>
void for_each_part(int64_t total, int64_t items, Body&& body, int64_t most = kMostItems) {
  expect(items <= most, "cuda: {} work items in a sample; a kernel takes at most {}", items, most);
  const int64_t part = most / items;
  for (int64_t first = 0; first < total; first += part) body(first, std::min(part, total - first));
}

}  // namespace pal
