#pragma once
#include <algorithm>
#include <cstring>

#include "kernels/blocked/tile.h"

// The operands of a product left [m, k] right [k, n] and how they are packed. A left operand has
//   static constexpr LeftOrder kOrder
//   void pack(Range rows, Range depths, int64_t stride, float* to) const
//   void fetch(Range rows, Range depths, int64_t piece, int64_t pieces) const
// and writes tile after tile of kTileRows rows, `stride` floats apart; a right operand has
//   void pack(Range columns, Range depths, int64_t stride, float* to) const
//   void fetch(Range columns, Range depths, int64_t piece, int64_t pieces) const
// and writes panel after panel of kTileColumns columns, [depth][column]. Depths are filled up with
// zeros to whole groups, rows and columns to whole tiles. fetch asks for a piece of what is packed soon.
namespace pal::blocked {

struct Range {
  int64_t first, count;
};

/// Asks for values that are read soon: what is packed comes in pieces of 1 KiB, a row of a matrix apart,
/// which the processor does not foresee. kNear: to the first-level cache, else to the second.
template <bool kNear>
inline void prefetch(const float* from, int64_t count) {
  constexpr int64_t kLine = 16;
  for (int64_t i = 0; i < count; i += kLine) __builtin_prefetch(from + i, 0, kNear ? 3 : 2);
}
inline constexpr int64_t kAhead = 4;  // rows

/// The piece of a range that has that index among equal pieces.
inline Range piece_of(Range range, int64_t piece, int64_t pieces) {
  const int64_t begin = range.count * piece / pieces;
  return {range.first + begin, range.count * (piece + 1) / pieces - begin};
}

/// Runs of a left operand's rows, in LeftOrder::by_row.
class TileRow {
 public:
  TileRow(float* tile, int64_t row) : to_(tile + row * kGroup) {}
  /// Appends values; a null pointer stands for zeros.
  void append(const float* from, int64_t count) {
    if (from == nullptr) return append_each(count, [](int64_t) { return 0.0F; });
    int64_t i = 0;
    if (filled_ == 0)
      for (; i + kGroup <= count; i += kGroup, to_ += kTileRows * kGroup)
        std::memcpy(to_, from + i, kGroup * sizeof(float));
    append_each(count - i, [&](int64_t j) { return from[i + j]; });
  }
  /// Fills the last group up.
  void finish() {
    if (filled_ > 0) append(nullptr, kGroup - filled_);
  }

 private:
  template <typename Value>
  void append_each(int64_t count, const Value& value) {
    for (int64_t i = 0; i < count; ++i) {
      to_[filled_] = value(i);
      if (++filled_ < kGroup) continue;
      filled_ = 0;
      to_ += kTileRows * kGroup;
    }
  }

  float* to_;
  int64_t filled_ = 0;
};

/// A matrix in the order of its storage, element (i, k) at values[i * pitch + k].
struct Matrix {
  const float* values;
  int64_t pitch;
  const float* at(int64_t row, int64_t column) const { return values + row * pitch + column; }
};

/// A left operand whose rows are runs of memory. rows.from(i) reads from row i on: its next(depths, to)
/// appends a row to a TileRow. rows.fetch(i, depths) asks for one.
template <typename Rows>
struct LeftRows {
  static constexpr LeftOrder kOrder = LeftOrder::by_row;
  Rows rows;
  void pack(Range range, Range depths, int64_t stride, float* to) const {
    auto reader = rows.from(range.first);
    for (int64_t i = 0; i < rounded_up(range.count, kTileRows); ++i) {
      TileRow row(to + i / kTileRows * stride, i % kTileRows);
      if (i < range.count)
        reader.next(depths, row);
      else
        row.append(nullptr, depths.count);
      row.finish();
    }
  }
  void fetch(Range range, Range depths, int64_t piece, int64_t pieces) const {
    const Range some = piece_of(range, piece, pieces);
    for (int64_t i = 0; i < some.count; ++i) rows.fetch(some.first + i, depths);
  }
};

/// The rows of a matrix.
struct MatrixRows {
  Matrix matrix;
  struct Reader {
    Matrix matrix;
    int64_t row;
    void next(Range depths, TileRow& to) {
      to.append(matrix.at(row++, depths.first), depths.count);
    }
  };
  Reader from(int64_t row) const { return {matrix, row}; }
  void fetch(int64_t row, Range depths) const {
    prefetch<false>(matrix.at(row, depths.first), depths.count);
  }
};

/// The transpose of a matrix [k, m].
struct LeftTransposed {
  static constexpr LeftOrder kOrder = LeftOrder::by_depth;
  Matrix matrix;
  void pack(Range rows, Range depths, int64_t stride, float* to) const {
    // A group of depths at a time, so that lines are written whole.
    for (int64_t k = 0; k < depths.count; k += kGroup) {
      const int64_t count = std::min(kGroup, depths.count - k);
      const float* const from = matrix.at(depths.first + k, rows.first);
      float* place = to + k * kTileRows;
      for (int64_t i = 0; i < rows.count; i += kTileRows, place += stride) {
        const int64_t width = std::min(kTileRows, rows.count - i);
        if (count == kGroup && width == kTileRows)
          for (int64_t j = 0; j < kGroup; ++j)
            std::memcpy(place + j * kTileRows, from + j * matrix.pitch + i,
                        kTileRows * sizeof(float));
        else
          for (int64_t j = 0; j < kGroup; ++j)
            for (int64_t n = 0; n < kTileRows; ++n)
              place[j * kTileRows + n] =
                  j < count && n < width ? from[j * matrix.pitch + i + n] : 0.0F;
      }
    }
  }
  void fetch(Range rows, Range depths, int64_t piece, int64_t pieces) const {
    const Range some = piece_of(depths, piece, pieces);
    for (int64_t k = 0; k < some.count; ++k)
      prefetch<false>(matrix.at(some.first + k, rows.first), rows.count);
  }
};

/// Writes a panel's columns of one depth, a null pointer standing for zeros.
inline void put_columns(const float* from, int64_t count, float* to) {
  if (from != nullptr && count == kTileColumns)
    std::memcpy(to, from, kTileColumns * sizeof(float));
  else
    for (int64_t j = 0; j < kTileColumns; ++j)
      to[j] = from != nullptr && j < count ? from[j] : 0.0F;
}

/// A right operand whose row k lies at rows(k).
template <typename Rows>
struct RightRows {
  Rows rows;
  void pack(Range columns, Range depths, int64_t stride, float* to) const {
    for (int64_t k = 0; k < rounded_up(depths.count, kGroup); ++k) {
      const float* const from = k < depths.count ? rows(depths.first + k) + columns.first : nullptr;
      if (k + kAhead < depths.count)
        prefetch<true>(rows(depths.first + k + kAhead) + columns.first, columns.count);
      float* place = to + k * kTileColumns;
      for (int64_t j = 0; j < columns.count; j += kTileColumns, place += stride)
        put_columns(from != nullptr ? from + j : nullptr, std::min(kTileColumns, columns.count - j),
                    place);
    }
  }

  void fetch(Range columns, Range depths, int64_t piece, int64_t pieces) const {
    const Range some = piece_of(depths, piece, pieces);
    for (int64_t k = 0; k < some.count; ++k)
      prefetch<false>(rows(some.first + k) + columns.first, columns.count);
  }
};

/// The transpose of a matrix [n, k].
struct RightTransposed {
  Matrix matrix;
  void pack(Range columns, Range depths, int64_t stride, float* to) const {
    const int64_t filled = rounded_up(depths.count, kGroup);
    for (int64_t j = 0; j < rounded_up(columns.count, kTileColumns); j += 4) {
      float* const place = to + j / kTileColumns * stride + j % kTileColumns;
      const int64_t columns_left = columns.count - j;
      for (int64_t i = 4; i < std::min<int64_t>(8, columns_left); ++i)
        prefetch<true>(matrix.at(columns.first + j + i, depths.first), depths.count);
      int64_t k = 0;
      if (columns_left >= 4)
        for (; k + 4 <= depths.count; k += 4)
          transpose(matrix.at(columns.first + j, depths.first + k), place + k * kTileColumns);
      for (; k < filled; ++k)
        for (int64_t i = 0; i < 4; ++i)
          place[k * kTileColumns + i] = i < columns_left && k < depths.count
                                            ? *matrix.at(columns.first + j + i, depths.first + k)
                                            : 0.0F;
    }
  }
  void fetch(Range columns, Range depths, int64_t piece, int64_t pieces) const {
    const Range some = piece_of(columns, piece, pieces);
    for (int64_t j = 0; j < some.count; ++j)
      prefetch<false>(matrix.at(some.first + j, depths.first), depths.count);
  }

 private:
  /// Four values of four rows.
  void transpose(const float* from, float* to) const {
    using Four __attribute__((vector_size(16))) = float;
    const auto a = load_values<Four>(from);
    const auto b = load_values<Four>(from + matrix.pitch);
    const auto c = load_values<Four>(from + 2 * matrix.pitch);
    const auto d = load_values<Four>(from + 3 * matrix.pitch);
    const Four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    const Four ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const Four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const Four cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    store_values(to, __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5));
    store_values(to + kTileColumns, __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7));
    store_values(to + 2 * kTileColumns, __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5));
    store_values(to + 3 * kTileColumns, __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7));
  }
};

}  // namespace pal::blocked
