#pragma once
#include <array>
#include <cstdint>

#include "runtime/tensor.h"

namespace pal {

/// Types of pixels that callers hold.
enum class PixelType : uint8_t {
  level,       ///< uint8, levels 0 to 255
  unit_float,  ///< float, pixels in [0, 1]
  unit_double  ///< double, pixels in [0, 1]
};

/// Pictures where they lie in a caller's memory, on the host: n of height h, width w and c colours,
/// in any order of axes. Nothing is owned.
struct PixelView {
  const void* data = nullptr;
  PixelType type = PixelType::unit_float;
  std::array<int64_t, 4> extents{};  ///< n, h, w, c
  std::array<int64_t, 4> strides{};  ///< from one to the next along n, h, w, c; in values

  int64_t count() const { return extents[0]; }
  /// f32 or f64 pixels of a dense tensor [n, h, w, c] on the CPU; throws usage for another one.
  static PixelView of(const Tensor& images);
};

/// The levels, 255 times the pixels, of images `first` to `first + count - 1`: [count, h, w, c] of
/// `dtype`, f32 or f64, in new memory. Pixels v / 255 in float or double become the level v exactly.
/// Throws usage, naming the place, for a value that is not finite, and with `within` for one outside
/// [0, 1] by more than rounding (1e-5).
Tensor pixel_levels(const PixelView& images, int64_t first, int64_t count, DType dtype,
                    bool within);

}  // namespace pal
