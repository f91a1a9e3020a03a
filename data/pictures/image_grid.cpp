#include "data/pictures/image_grid.h"

#include <algorithm>

#include "runtime/error.h"

namespace pal {
namespace {

constexpr uint8_t kWhite = 255;

Image blank(int64_t width, int64_t height, int64_t channels) {
  Image image;
  image.width = width;
  image.height = height;
  image.channels = channels;
  image.pixels.assign(static_cast<size_t>(width * height * channels), kWhite);
  return image;
}

/// Copies pixel (x, y) of one picture to (tx, ty) of another; grey spreads over RGB.
void copy_pixel(const Image& from, int64_t x, int64_t y, Image& to, int64_t tx, int64_t ty) {
  const uint8_t* source = &from.pixels[static_cast<size_t>(y * from.row() + x * from.channels)];
  uint8_t* target = &to.pixels[static_cast<size_t>(ty * to.row() + tx * to.channels)];
  for (int64_t c = 0; c < to.channels; ++c) target[c] = source[std::min(c, from.channels - 1)];
}

}  // namespace

Image image_grid(std::span<const Image> images, int64_t columns, int64_t gap) {
  expect(
      !images.empty() && columns >= 1 && gap >= 0,
      "image_grid: expected images, at least one column and a gap of 0 or more; got {} images, {} "
      "columns, gap {}",
      images.size(), columns, gap);
  const int64_t width = images[0].width;
  const int64_t height = images[0].height;
  int64_t channels = 1;
  for (const Image& image : images) {
    expect(image.width == width && image.height == height,
           "image_grid: pictures of {}x{} and {}x{}; expected equal sizes", width, height,
           image.width, image.height);
    channels = std::max(channels, image.channels);
  }
  const auto count = static_cast<int64_t>(images.size());
  columns = std::min(columns, count);
  const int64_t rows = (count + columns - 1) / columns;
  Image grid = blank(columns * (width + gap) - gap, rows * (height + gap) - gap, channels);
  for (int64_t i = 0; i < count; ++i)
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        copy_pixel(images[static_cast<size_t>(i)], x, y, grid, i % columns * (width + gap) + x,
                   i / columns * (height + gap) + y);
  return grid;
}

}  // namespace pal
