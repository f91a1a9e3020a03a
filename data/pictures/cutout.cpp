#include "data/pictures/cutout.h"

#include <png.h>

#include <algorithm>
#include <vector>

#include "data/pictures/image_decoders.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr int64_t kValues = 4;
/// Fainter pixels at the rim do not count as visible.
constexpr uint8_t kVisible = 16;

struct Rgba {
  int64_t width = 0;
  int64_t height = 0;
  std::vector<uint8_t> values;

  const uint8_t* at(int64_t x, int64_t y) const {
    return &values[static_cast<size_t>(kValues * (y * width + x))];
  }
};

Rgba decode_rgba(std::span<const uint8_t> bytes, const std::string& name,
                 const ImageLimits& limits) {
  if (sniff_format(bytes) != ImageFormat::png)
    fail(ErrorKind::data, "{}: expected a PNG with transparency", name);
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()) == 0)
    fail(ErrorKind::data, "{}: broken PNG: {}", name, png.message);
  Rgba rgba;
  try {
    rgba.width = png.width;
    rgba.height = png.height;
    check_image_size(rgba.width, rgba.height, name, limits);
    png.format = PNG_FORMAT_RGBA;
    rgba.values.resize(PNG_IMAGE_SIZE(png));
  } catch (...) {
    png_image_free(&png);
    throw;
  }
  if (png_image_finish_read(&png, nullptr, rgba.values.data(), 0, nullptr) == 0)
    fail(ErrorKind::data, "{}: broken PNG: {}", name, png.message);
  return rgba;
}

/// The smallest region that holds all visible pixels; empty if there are none.
Region visible_region(const Rgba& rgba) {
  int64_t left = rgba.width;
  int64_t right = 0;
  int64_t top = rgba.height;
  int64_t bottom = 0;
  for (int64_t y = 0; y < rgba.height; ++y)
    for (int64_t x = 0; x < rgba.width; ++x) {
      if (rgba.at(x, y)[3] < kVisible) continue;
      left = std::min(left, x);
      right = std::max(right, x + 1);
      top = std::min(top, y);
      bottom = std::max(bottom, y + 1);
    }
  return {left, top, right - left, bottom - top};
}

}  // namespace

Cutout decode_cutout(std::span<const uint8_t> bytes, const std::string& name,
                     const ImageLimits& limits) {
  const Rgba rgba = decode_rgba(bytes, name, limits);
  const Region region = visible_region(rgba);
  if (region.width <= 0) fail(ErrorKind::data, "{}: nothing is visible", name);
  Cutout cutout;
  cutout.colour.width = cutout.alpha.width = region.width;
  cutout.colour.height = cutout.alpha.height = region.height;
  cutout.colour.channels = 3;
  cutout.alpha.channels = 1;
  cutout.colour.pixels.reserve(static_cast<size_t>(3 * region.width * region.height));
  cutout.alpha.pixels.reserve(static_cast<size_t>(region.width * region.height));
  for (int64_t y = region.y; y < region.y + region.height; ++y)
    for (int64_t x = region.x; x < region.x + region.width; ++x) {
      const uint8_t* pixel = rgba.at(x, y);
      const int alpha = pixel[3];
      for (int c = 0; c < 3; ++c)
        cutout.colour.pixels.push_back(static_cast<uint8_t>((pixel[c] * alpha + 127) / 255));
      cutout.alpha.pixels.push_back(static_cast<uint8_t>(alpha));
    }
  return cutout;
}

}  // namespace pal
