#pragma once
#include "kernels/common/block_product.h"

// A tile of a product, with its sums in registers, and how its operands are packed for it.
namespace pal::blocked {

inline constexpr int64_t kTileRows = kBlockRows;
inline constexpr int64_t kTileColumns = kBlockColumns;
/// Depths are packed in groups, the last one filled up with zeros.
inline constexpr int64_t kGroup = 8;

constexpr int64_t rounded_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

/// How a tile's rows of the left operand lie: in both orders a group of depths follows the other.
enum class LeftOrder {
  by_row,    ///< [group][row][depth of the group]: rows are copied in vectors
  by_depth,  ///< [depth][row]: for what lies so, a matrix to be transposed
};

/// Computes a tile, start + left right, and writes it to, or with kAdd adds it to, the columns from
/// `column` on of the rows at `to`. right is [depth][kTileColumns], start [kTileColumns].
template <LeftOrder kOrder, bool kAdd>
[[gnu::noinline]] void multiply_tile(const float* left, const float* right, int64_t groups,
                                     const float* start, float* const* to, int64_t column) {
  constexpr int64_t kRowPitch = kOrder == LeftOrder::by_row ? kGroup : 1;
  constexpr int64_t kDepthPitch = kOrder == LeftOrder::by_row ? 1 : kTileRows;
  for (int64_t i = 0; i < kTileRows; ++i) __builtin_prefetch(to[i] + column, 1);
  FloatVector sums[kTileRows][2];
  for (auto& row : sums) {
    row[0] = load_values<FloatVector>(start);
    row[1] = load_values<FloatVector>(start + kVectorFloats);
  }
  for (; groups > 0; --groups) {
#pragma GCC unroll 8
    for (int64_t k = 0; k < kGroup; ++k) {
      const auto first = load_values<FloatVector>(right + k * kTileColumns);
      const auto second = load_values<FloatVector>(right + k * kTileColumns + kVectorFloats);
#pragma GCC unroll 12
      for (int64_t i = 0; i < kTileRows; ++i) {
        const float factor = left[i * kRowPitch + k * kDepthPitch];
        sums[i][0] += factor * first;
        sums[i][1] += factor * second;
      }
    }
    left += kTileRows * kGroup;
    right += kTileColumns * kGroup;
  }
  for (int64_t i = 0; i < kTileRows; ++i)
    for (int64_t j = 0; j < 2; ++j) {
      float* const values = to[i] + column + j * kVectorFloats;
      // At last, so that a long sum is one of the sums of its parts.
      if constexpr (kAdd) sums[i][j] += load_values<FloatVector>(values);
      store_values(values, sums[i][j]);
    }
}

}  // namespace pal::blocked
