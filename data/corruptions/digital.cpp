#include <algorithm>
#include <array>
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

/// Which inputs each output of Pillow's box filter is the mean of: whole pixels, equally weighted.
struct Box {
  int64_t first, last;
};

std::vector<Box> box_axis(int64_t inputs, int64_t outputs) {
  const double scale = static_cast<double>(inputs) / static_cast<double>(outputs);
  const double support = 0.5 * std::max(scale, 1.0);
  std::vector<Box> axis;
  for (int64_t i = 0; i < outputs; ++i) {
    const double middle = (static_cast<double>(i) + 0.5) * scale;
    axis.push_back({std::max<int64_t>(static_cast<int64_t>(middle - support + 0.5), 0),
                    std::min(static_cast<int64_t>(middle + support + 0.5), inputs)});
  }
  return axis;
}

/// A sum over `count` levels as their mean, rounded. The margin makes halves rise although 1/count
/// is not exact; it is less than any other distance to a half, count being small.
uint8_t rounded_mean(int32_t sum, float share) {
  return static_cast<uint8_t>(static_cast<int32_t>(static_cast<float>(sum) * share + 0.5001F));
}

float share_of(const Box& box) { return 1.0F / static_cast<float>(box.last - box.first); }

/// One row of pixels made narrower.
template <int64_t kChannels>
void narrow_row(const uint8_t* line, const std::vector<Box>& columns, uint8_t* out) {
  for (const Box& box : columns) {
    std::array<int32_t, kChannels> sums{};
    for (int64_t x = box.first; x < box.last; ++x)
      for (int64_t c = 0; c < kChannels; ++c)
        sums[static_cast<size_t>(c)] += line[x * kChannels + c];
    const float share = share_of(box);
    for (const int32_t sum : sums) *out++ = rounded_mean(sum, share);
  }
}

/// Smaller by a box filter, rounded after each direction as Pillow does.
Image shrunk(const Image& image, int64_t height, int64_t width) {
  const std::vector<Box> columns = box_axis(image.width, width);
  const std::vector<Box> rows = box_axis(image.height, height);
  const int64_t channels = image.channels;
  Image narrow{width, image.height, channels, {}, {}};
  narrow.pixels.resize(static_cast<size_t>(image.height * narrow.row()));
  for (int64_t y = 0; y < image.height; ++y) {
    const uint8_t* line = image.pixels.data() + y * image.row();
    uint8_t* out = narrow.pixels.data() + y * narrow.row();
    if (channels == 3)
      narrow_row<3>(line, columns, out);
    else
      narrow_row<1>(line, columns, out);
  }
  Image made{width, height, channels, {}, {}};
  made.pixels.resize(static_cast<size_t>(height * made.row()));
  std::vector<int32_t> sums(static_cast<size_t>(made.row()));
  uint8_t* out = made.pixels.data();
  for (const Box& box : rows) {
    std::ranges::fill(sums, 0);
    for (int64_t y = box.first; y < box.last; ++y) {
      const uint8_t* line = narrow.pixels.data() + y * narrow.row();
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += line[i];
    }
    const float share = share_of(box);
    for (const int32_t sum : sums) *out++ = rounded_mean(sum, share);
  }
  return made;
}

/// Larger by a box filter: the pixel that lies there.
FloatImage enlarged_pixels(const Image& image, int64_t height, int64_t width) {
  const std::vector<Box> columns = box_axis(image.width, width);
  const std::vector<Box> rows = box_axis(image.height, height);
  FloatImage made(height, width, image.channels);
  for (int64_t y = 0; y < height; ++y) {
    const Box& box = rows[static_cast<size_t>(y)];
    float* out = made.row_at(y);
    if (y > 0 && box.first == rows[static_cast<size_t>(y - 1)].first) {
      std::copy_n(made.row_at(y - 1), made.row(), out);
      continue;
    }
    const uint8_t* line = image.pixels.data() + box.first * image.row();
    for (const Box& column : columns)
      for (int64_t c = 0; c < image.channels; ++c)
        *out++ = static_cast<float>(line[column.first * image.channels + c]);
  }
  return made;
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
  return enlarged_pixels(shrunk(image, coarse(image.height), coarse(image.width)), image.height,
                         image.width);
}

FloatImage jpeg(const Image& image, int quality) {
  const auto bytes = encode_jpeg(image, {.quality = quality, .smallest = false});
  return to_float(decode_image(bytes, "jpeg"));
}

}  // namespace pal::cores
