#pragma once
#include <cstdint>
#include <cstring>

// Rows that lie side by side: short rows of channel slices are packed so that one long loop runs
// over many of them. Pitches and widths in elements.
namespace pal {

/// Copies `count` rows of `width` elements from one row pitch to another.
template <typename T>
void copy_rows(const T* from, int64_t from_pitch, T* to, int64_t to_pitch, int64_t count,
               int64_t width) {
  // Rows are often a few elements: with a constant length a copy is one or two instructions.
  const auto copy = [&]<int64_t kWidth>() {
    for (int64_t row = 0; row < count; ++row) {
      const T* source = from + row * from_pitch;
      T* target = to + row * to_pitch;
#pragma omp simd
      for (int64_t i = 0; i < kWidth; ++i) target[i] = source[i];
    }
  };
  switch (width) {
    case 1:
      return copy.template operator()<1>();
    case 2:
      return copy.template operator()<2>();
    case 3:
      return copy.template operator()<3>();
    case 4:
      return copy.template operator()<4>();
    case 6:
      return copy.template operator()<6>();
    case 8:
      return copy.template operator()<8>();
    case 12:
      return copy.template operator()<12>();
    case 16:
      return copy.template operator()<16>();
    case 24:
      return copy.template operator()<24>();
    case 32:
      return copy.template operator()<32>();
    case 48:
      return copy.template operator()<48>();
    case 96:
      return copy.template operator()<96>();
    default:
      break;
  }
  for (int64_t row = 0; row < count; ++row)
    std::memcpy(static_cast<void*>(to + row * to_pitch),
                static_cast<const void*>(from + row * from_pitch),
                static_cast<size_t>(width) * sizeof(T));
}

/// `count` rows of `width` elements side by side: the rows themselves if they already are, else a
/// copy in `buffer`.
template <typename T>
const T* packed_rows(const T* from, int64_t pitch, int64_t count, int64_t width, T* buffer) {
  if (pitch == width || count == 1) return from;
  copy_rows(from, pitch, buffer, width, count, width);
  return buffer;
}

/// Adds `count` rows of `width` values, side by side, into the first one, as a fixed tree;
/// overwrites the others.
template <typename T>
void fold_rows(T* rows, int64_t count, int64_t width) {
  while (count > 1) {
    const int64_t kept = (count + 1) / 2;
    const T* upper = rows + kept * width;
#pragma omp simd
    for (int64_t i = 0; i < (count - kept) * width; ++i) rows[i] += upper[i];
    count = kept;
  }
}

}  // namespace pal
