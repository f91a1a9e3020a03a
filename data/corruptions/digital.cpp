#include <algorithm>
#include <cmath>

#include "data/corruptions/cores.h"
#include "data/corruptions/filters.h"
#include "data/corruptions/severities.h"
#include "data/pictures/jpeg_encoder.h"

namespace pal::cores {
namespace {

/// A plane's affine map: x' = a x + b y + c, y' = d x + e y + f.
struct Affine {
  double a, b, c, d, e, f;
};

/// The map that sends three points to three others.
Affine affine_between(const double (&from)[6], const double (&to)[6]) {
  const double x1 = from[2] - from[0];
  const double y1 = from[3] - from[1];
  const double x2 = from[4] - from[0];
  const double y2 = from[5] - from[1];
  const double area = x1 * y2 - x2 * y1;
  const auto row = [&](int k, double& p, double& q, double& r) {
    const double v1 = to[2 + k] - to[k];
    const double v2 = to[4 + k] - to[k];
    p = (v1 * y2 - v2 * y1) / area;
    q = (x1 * v2 - x2 * v1) / area;
    r = to[k] - p * from[0] - q * from[1];
  };
  Affine map{};
  row(0, map.a, map.b, map.c);
  row(1, map.d, map.e, map.f);
  return map;
}

/// Overwrites `out` with the image at (x, y), between four pixels.
void sample(const FloatImage& image, double x, double y, Border border, float* out) {
  const double left = std::floor(x);
  const double top = std::floor(y);
  const auto u = static_cast<float>(x - left);
  const auto v = static_cast<float>(y - top);
  const auto column = [&](double at) {
    return border_index(static_cast<int64_t>(at), image.width, border) * image.channels;
  };
  const auto row = [&](double at) {
    return image.row_at(border_index(static_cast<int64_t>(at), image.height, border));
  };
  const int64_t x0 = column(left);
  const int64_t x1 = column(left + 1.0);
  const float* above = row(top);
  const float* below = row(top + 1.0);
  for (int64_t c = 0; c < image.channels; ++c) {
    const float upper = above[x0 + c] + u * (above[x1 + c] - above[x0 + c]);
    const float lower = below[x0 + c] + u * (below[x1 + c] - below[x0 + c]);
    out[c] = upper + v * (lower - upper);
  }
}

/// The image as an affine map of three of its points has it.
FloatImage warped(const FloatImage& image, const std::array<float, 6>& moves) {
  const auto cx = static_cast<double>(image.width / 2);
  const auto cy = static_cast<double>(image.height / 2);
  const auto q = static_cast<double>(std::min(image.width, image.height) / 3);
  const double from[6] = {cx + q, cy + q, cx + q, cy - q, cx - q, cy - q};
  double to[6];
  for (int i = 0; i < 6; ++i) to[i] = from[i] + static_cast<double>(moves[static_cast<size_t>(i)]);
  const Affine back = affine_between(to, from);
  FloatImage made(image.height, image.width, image.channels);
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x) {
      const auto px = static_cast<double>(x);
      const auto py = static_cast<double>(y);
      sample(image, back.a * px + back.b * py + back.c, back.d * px + back.e * py + back.f,
             Border::mirror, made.row_at(y) + x * image.channels);
    }
  return made;
}

/// One pass of Pillow's box filter: whole pixels with equal weights, rounded.
Image box_rows(const Image& image, int64_t height) {
  Image made{image.width, height, image.channels, {}, {}};
  made.pixels.resize(static_cast<size_t>(height * made.row()));
  const double scale = static_cast<double>(image.height) / static_cast<double>(height);
  const double support = 0.5 * std::max(scale, 1.0);
  std::vector<int32_t> sums(static_cast<size_t>(image.row()));
  for (int64_t y = 0; y < height; ++y) {
    const double middle = (static_cast<double>(y) + 0.5) * scale;
    const auto first = std::max<int64_t>(static_cast<int64_t>(middle - support + 0.5), 0);
    const auto last = std::min<int64_t>(static_cast<int64_t>(middle + support + 0.5), image.height);
    std::ranges::fill(sums, 0);
    for (int64_t from = first; from < last; ++from)
      for (int64_t i = 0; i < image.row(); ++i)
        sums[static_cast<size_t>(i)] += image.pixels[static_cast<size_t>(from * image.row() + i)];
    const auto count = static_cast<float>(last - first);
    for (int64_t i = 0; i < image.row(); ++i)
      made.pixels[static_cast<size_t>(y * made.row() + i)] =
          static_cast<uint8_t>(static_cast<float>(sums[static_cast<size_t>(i)]) / count + 0.5F);
  }
  return made;
}

Image transposed(const Image& image) {
  Image made{image.height, image.width, image.channels, {}, {}};
  made.pixels.resize(image.pixels.size());
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x)
      for (int64_t c = 0; c < image.channels; ++c)
        made.pixels[static_cast<size_t>((x * image.height + y) * image.channels + c)] =
            image.pixels[static_cast<size_t>((y * image.width + x) * image.channels + c)];
  return made;
}

Image boxed(const Image& image, int64_t height, int64_t width) {
  return box_rows(transposed(box_rows(transposed(image), width)), height);
}

}  // namespace

FloatImage elastic(const Image& image, int severity, ParameterSet set, const Draws& draws) {
  const severities::Elastic& strength = severities::kElastic.at(set, severity);
  const double unit = set == ParameterSet::imagenet
                          ? 1.0
                          : static_cast<double>(std::min(image.height, image.width));
  const FloatImage plain = warped(to_float(image), draws.corners);
  if (strength.amplitude == 0.0) return plain;
  const auto pixels = static_cast<std::ptrdiff_t>(image.height * image.width);
  const auto smooth = [&](std::ptrdiff_t from) {
    FloatImage field(image.height, image.width, 1);
    std::copy_n(draws.field.begin() + from, pixels, field.values.begin());
    return gaussian_filter(field, strength.sigma * unit, 3.0, Border::symmetric);
  };
  const FloatImage dx = smooth(0);
  const FloatImage dy = smooth(pixels);
  FloatImage made(image.height, image.width, image.channels);
  const double amplitude = strength.amplitude * unit;
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x)
      sample(plain, static_cast<double>(x) + amplitude * static_cast<double>(dx.row_at(y)[x]),
             static_cast<double>(y) + amplitude * static_cast<double>(dy.row_at(y)[x]),
             Border::symmetric, made.row_at(y) + x * image.channels);
  return made;
}

FloatImage pixelate(const Image& image, double size) {
  const auto coarse = [&](int64_t side) {
    return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(side) * size));
  };
  return to_float(
      boxed(boxed(image, coarse(image.height), coarse(image.width)), image.height, image.width));
}

FloatImage jpeg(const Image& image, int quality) {
  const auto bytes = encode_jpeg(image, {.quality = quality});
  return to_float(decode_image(bytes, "jpeg"));
}

}  // namespace pal::cores
