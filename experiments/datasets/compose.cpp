#include "experiments/datasets/compose.h"

#include <algorithm>
#include <cmath>

#include "data/pictures/resize.h"

namespace pal {
namespace {

constexpr double kSmallestCrop = 0.25;
constexpr double kSmallestCutout = 0.6;
constexpr double kOutside = 0.1;

/// The whole axis, `length` pixels to `outputs`.
ResizeAxis whole_axis(int64_t length, int64_t outputs) {
  return {0.0, static_cast<double>(length), 0, length, outputs, 0, outputs};
}

Image resample(const Image& image, const ResizeAxis& x, const ResizeAxis& y) {
  Image result;
  result.width = x.count;
  result.height = y.count;
  result.channels = image.channels;
  result.pixels.resize(static_cast<size_t>(result.height * result.row()));
  resize(image, 0, 0, ResizeWeights(x), ResizeWeights(y), result.pixels);
  return result;
}

Image resample(const Image& image, int64_t width, int64_t height) {
  return resample(image, whole_axis(image.width, width), whole_axis(image.height, height));
}

void mirror(Image& image) {
  for (int64_t y = 0; y < image.height; ++y) {
    uint8_t* row = &image.pixels[static_cast<size_t>(y * image.row())];
    for (int64_t x = 0; x < image.width / 2; ++x)
      std::swap_ranges(row + x * image.channels, row + (x + 1) * image.channels,
                       row + (image.width - 1 - x) * image.channels);
  }
}

Image random_square(const Image& photo, int64_t size, Draws& draws) {
  const double side =
      draws.uniform(kSmallestCrop, 1.0) * static_cast<double>(std::min(photo.width, photo.height));
  const auto axis = [&](int64_t length) {
    const double from = draws.uniform(0.0, static_cast<double>(length) - side);
    const double to = std::min(from + side, static_cast<double>(length));
    return ResizeAxis{from, to, 0, length, size, 0, size};
  };
  const ResizeAxis x = axis(photo.width);
  const ResizeAxis y = axis(photo.height);
  Image square = resample(photo, x, y);
  if (draws.coin()) mirror(square);
  return square;
}

/// Where a length lies on an axis of `size`: inside but for a tenth of it.
int64_t random_place(int64_t length, int64_t size, Draws& draws) {
  const double outside = kOutside * static_cast<double>(length);
  const double last = std::max(0.0, static_cast<double>(size - length)) + outside;
  return std::llround(draws.uniform(-outside, last));
}

void paste(const Cutout& cutout, int64_t left, int64_t top, Image& target) {
  const int64_t first = std::max<int64_t>(0, -left);
  const int64_t last = std::min(cutout.alpha.width, target.width - left);
  for (int64_t y = std::max<int64_t>(0, -top);
       y < std::min(cutout.alpha.height, target.height - top); ++y)
    for (int64_t x = first; x < last; ++x) {
      const auto from = static_cast<size_t>(y * cutout.alpha.width + x);
      const int clear = 255 - cutout.alpha.pixels[from];
      uint8_t* pixel =
          &target.pixels[static_cast<size_t>((top + y) * target.row() + 3 * (left + x))];
      for (size_t c = 0; c < 3; ++c)
        pixel[c] = static_cast<uint8_t>(
            std::min(255, cutout.colour.pixels[3 * from + c] + (pixel[c] * clear + 127) / 255));
    }
}

}  // namespace

Image shrink_to(Image image, int64_t shorter) {
  const int64_t now = std::min(image.width, image.height);
  if (now <= shorter) return image;
  return resample(image, image.width * shorter / now, image.height * shorter / now);
}

Image compose(const Image& photo, const Cutout& cutout, int64_t size, Draws& draws) {
  Image picture = random_square(photo, size, draws);
  const int64_t longer = std::max(cutout.alpha.width, cutout.alpha.height);
  const double scale =
      draws.uniform(kSmallestCutout, 1.0) * static_cast<double>(size) / static_cast<double>(longer);
  const auto scaled = [&](int64_t length) {
    return std::max<int64_t>(1, std::llround(scale * static_cast<double>(length)));
  };
  const int64_t width = scaled(cutout.alpha.width);
  const int64_t height = scaled(cutout.alpha.height);
  Cutout pasted{resample(cutout.colour, width, height), resample(cutout.alpha, width, height)};
  if (draws.coin()) {
    mirror(pasted.colour);
    mirror(pasted.alpha);
  }
  const int64_t left = random_place(width, size, draws);
  const int64_t top = random_place(height, size, draws);
  paste(pasted, left, top, picture);
  return picture;
}

JpegSettings random_settings(Draws& draws) {
  constexpr int kWorst = 60;
  constexpr int kBest = 95;
  JpegSettings settings;
  settings.quality = kWorst + static_cast<int>(draws.below(kBest - kWorst + 1));
  settings.subsampling = static_cast<Subsampling>(draws.below(3));
  return settings;
}

}  // namespace pal
