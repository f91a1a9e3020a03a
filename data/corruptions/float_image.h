#pragma once
#include <cstdint>
#include <vector>

#include "data/pictures/image_file.h"

namespace pal {

/// An image between corruption and rounding: values in levels, 0 to 255, but not whole.
struct FloatImage {
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;
  std::vector<float> values;  ///< [height, width, channels]

  FloatImage() = default;
  /// An image of zeros.
  FloatImage(int64_t h, int64_t w, int64_t c);

  /// Values in a row of pixels.
  int64_t row() const { return width * channels; }
  float* row_at(int64_t y) { return values.data() + y * row(); }
  const float* row_at(int64_t y) const { return values.data() + y * row(); }
};

/// The levels of an image as they are.
FloatImage to_float(const Image& image);

/// Clips to [0, 255] in place.
void clip_levels(FloatImage& image);

/// Clips and cuts off what is behind the point, as the published sets have it, but first adds 1e-4
/// of a level: else areas that should have stayed as they are fall by one.
Image to_levels(const FloatImage& image);

/// What lies beyond an image's edges.
enum class Border : uint8_t {
  replicate,  ///< the pixel at the edge
  mirror,     ///< the image mirrored at the middle of its outermost pixels
  symmetric,  ///< the image mirrored at its edges, so that outermost pixels come twice
};

/// Which of `count` pixels stands at place `index`, which may lie anywhere.
int64_t border_index(int64_t index, int64_t count, Border border);

/// The image with `x` more columns and `y` more rows on each side.
FloatImage padded(const FloatImage& image, int64_t x, int64_t y, Border border);

}  // namespace pal
