#include "data/corruptions/float_image.h"

#include <algorithm>
#include <cstring>

namespace pal {
namespace {

constexpr float kMostLevel = 255.0F;
constexpr float kRoundingMargin = 1e-4F;

/// By conditions on values, not std::clamp's on references, which compilers make jumps of.
float clipped(float value) {
  const float least = value > 0.0F ? value : 0.0F;
  return least < kMostLevel ? least : kMostLevel;
}

}  // namespace

FloatImage::FloatImage(int64_t h, int64_t w, int64_t c)
    : height(h), width(w), channels(c), values(static_cast<size_t>(h * w * c)) {}

FloatImage to_float(const Image& image) {
  FloatImage made(image.height, image.width, image.channels);
  for (size_t i = 0; i < made.values.size(); ++i)
    made.values[i] = static_cast<float>(image.pixels[i]);
  return made;
}

void clip_levels(FloatImage& image) {
  for (float& value : image.values) value = clipped(value);
}

Image to_levels(const FloatImage& image) {
  Image made{image.width, image.height, image.channels, {}, {}};
  made.pixels.resize(image.values.size());
  // By plain pointers: bytes may alias anything, so vectors' own would be read again each time.
  const float* from = image.values.data();
  uint8_t* to = made.pixels.data();
  const size_t count = image.values.size();
  for (size_t i = 0; i < count; ++i)
    to[i] = static_cast<uint8_t>(static_cast<int32_t>(clipped(from[i] + kRoundingMargin)));
  return made;
}

int64_t border_index(int64_t index, int64_t count, Border border) {
  if (index >= 0 && index < count) return index;
  if (border == Border::replicate || count == 1) return std::clamp<int64_t>(index, 0, count - 1);
  const int64_t period = border == Border::mirror ? 2 * (count - 1) : 2 * count;
  int64_t place = index % period;
  if (place < 0) place += period;
  if (place < count) return place;
  return border == Border::mirror ? period - place : period - 1 - place;
}

FloatImage padded(const FloatImage& image, int64_t x, int64_t y, Border border) {
  FloatImage made(image.height + 2 * y, image.width + 2 * x, image.channels);
  const auto channels = static_cast<size_t>(image.channels);
  for (int64_t to = 0; to < made.height; ++to) {
    const float* from = image.row_at(border_index(to - y, image.height, border));
    float* out = made.row_at(to);
    std::copy_n(from, image.row(), out + x * image.channels);
    const auto copy = [&](int64_t column) {
      std::memcpy(out + column * image.channels,
                  from + border_index(column - x, image.width, border) * image.channels,
                  channels * sizeof(float));
    };
    for (int64_t i = 0; i < x; ++i) {
      copy(i);
      copy(made.width - 1 - i);
    }
  }
  return made;
}

}  // namespace pal
