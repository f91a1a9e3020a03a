#pragma once
#include <algorithm>

#include "kernels/common/vector.h"

// Products of small matrices by one thread, with the result in registers. Pitches in floats.
namespace pal {

/// Columns of a block of the result, and most of its rows: its values, two vectors of an operand and
/// one number of the other fill the registers, of which AVX-512 and AArch64 have 32.
inline constexpr int64_t kBlockColumns = 2 * kVectorFloats;
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int64_t kBlockRows = 12;
#else
inline constexpr int64_t kBlockRows = 6;
#endif

/// How many blocks lie side by side.
inline int64_t block_count(int64_t columns) {
  return (columns + kBlockColumns - 1) / kBlockColumns;
}

/// A distance of at least `floats` that is an odd number of cache lines: rows at powers of two would
/// fall into a few of a cache's sets, and drive each other out of it.
inline int64_t odd_lines(int64_t floats) {
  constexpr int64_t kLineFloats = 16;
  return ((floats + kLineFloats - 1) / kLineFloats | 1) * kLineFloats;
}

/// An operand whose element (i, k) lies at values[i * row_pitch + k * depth_pitch].
struct Strided {
  const float* values;
  int64_t row_pitch, depth_pitch;
};

/// A block of c = a b, or, with kAdd, of c += a b: a [kRows, depth], b [depth, kBlockColumns], dense.
template <int64_t kRows, bool kAdd>
inline void multiply_block(Strided a, const float* b, int64_t depth, float* c, int64_t c_pitch) {
  FloatVector sums[kRows][2] = {};
  for (int64_t k = 0; k < depth; ++k) {
    const auto left = load_values<FloatVector>(b + k * kBlockColumns);
    const auto right = load_values<FloatVector>(b + k * kBlockColumns + kVectorFloats);
#pragma GCC unroll 12
    for (int64_t i = 0; i < kRows; ++i) {
      const float factor = a.values[i * a.row_pitch + k * a.depth_pitch];
      sums[i][0] += factor * left;
      sums[i][1] += factor * right;
    }
  }
  for (int64_t i = 0; i < kRows; ++i)
    for (int64_t j = 0; j < 2; ++j) {
      float* const to = c + i * c_pitch + j * kVectorFloats;
      // At last, so that a long sum is one of the sums of its parts.
      if constexpr (kAdd) sums[i][j] += load_values<FloatVector>(to);
      store_values(to, sums[i][j]);
    }
}

/// The same for `rows` rows, at most kRows.
template <bool kAdd, int64_t kRows = kBlockRows>
inline void multiply_rows(int64_t rows, Strided a, const float* b, int64_t depth, float* c,
                          int64_t c_pitch) {
  if constexpr (kRows > 0) {
    if (rows == kRows) return multiply_block<kRows, kAdd>(a, b, depth, c, c_pitch);
    multiply_rows<kAdd, kRows - 1>(rows, a, b, depth, c, c_pitch);
  }
}

/// c [rows, kBlockColumns] = a [rows, depth] b [depth, kBlockColumns], or c += with kAdd.
template <bool kAdd>
inline void multiply_panel(int64_t rows, Strided a, const float* b, int64_t depth, float* c,
                           int64_t c_pitch) {
  for (int64_t i = 0; i < rows; i += kBlockRows)
    multiply_rows<kAdd>(std::min(kBlockRows, rows - i),
                        {a.values + i * a.row_pitch, a.row_pitch, a.depth_pitch}, b, depth,
                        c + i * c_pitch, c_pitch);
}

}  // namespace pal
