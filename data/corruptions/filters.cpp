#include "data/corruptions/filters.h"

#include <algorithm>
#include <cmath>

namespace pal {
namespace {

/// The weights of one side of a Gaussian, from its middle on, so that the whole adds up to 1.
std::vector<float> half_gaussian(double sigma, int64_t radius) {
  std::vector<double> weights(static_cast<size_t>(radius + 1));
  double sum = 0.0;
  for (int64_t i = 0; i <= radius; ++i) {
    const double at = static_cast<double>(i) / sigma;
    weights[static_cast<size_t>(i)] = std::exp(-0.5 * at * at);
    sum += (i == 0 ? 1.0 : 2.0) * weights[static_cast<size_t>(i)];
  }
  std::vector<float> scaled;
  for (const double weight : weights) scaled.push_back(static_cast<float>(weight / sum));
  return scaled;
}

void add_scaled(float* out, const float* in, float weight, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] += weight * in[i];
}

void add_pair(float* out, const float* a, const float* b, float weight, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] += weight * (a[i] + b[i]);
}

/// A symmetric filter along an axis of `count` pixels whose taps reach beyond both of its ends, as
/// what each input gives to each output: [input, output].
std::vector<float> folded(const std::vector<float>& half, int64_t count, Border border) {
  std::vector<double> sums(static_cast<size_t>(count * count));
  const auto radius = static_cast<int64_t>(half.size()) - 1;
  for (int64_t out = 0; out < count; ++out)
    for (int64_t k = -radius; k <= radius; ++k)
      sums[static_cast<size_t>(border_index(out + k, count, border) * count + out)] +=
          static_cast<double>(half[static_cast<size_t>(std::abs(k))]);
  return {sums.begin(), sums.end()};
}

/// Rows filtered by taps. `beyond` is scratch.
FloatImage filter_rows(const FloatImage& image, const std::vector<float>& half, Border border) {
  FloatImage made(image.height, image.width, image.channels);
  const auto radius = static_cast<int64_t>(half.size()) - 1;
  const int64_t channels = image.channels;
  if (radius >= image.width) {
    const std::vector<float> weights = folded(half, image.width, border);
    std::vector<float> line(static_cast<size_t>(image.width));
    for (int64_t y = 0; y < image.height; ++y)
      for (int64_t c = 0; c < channels; ++c) {
        std::ranges::fill(line, 0.0F);
        for (int64_t x = 0; x < image.width; ++x)
          add_scaled(line.data(), &weights[static_cast<size_t>(x * image.width)],
                     image.row_at(y)[x * channels + c], image.width);
        for (int64_t x = 0; x < image.width; ++x)
          made.row_at(y)[x * channels + c] = line[static_cast<size_t>(x)];
      }
    return made;
  }
  const FloatImage wide = padded(image, radius, 0, border);
  for (int64_t y = 0; y < image.height; ++y) {
    const float* middle = wide.row_at(y) + radius * channels;
    float* out = made.row_at(y);
    for (int64_t i = 0; i < image.row(); ++i) out[i] = half[0] * middle[i];
    for (int64_t k = 1; k <= radius; ++k)
      add_pair(out, middle - k * channels, middle + k * channels, half[static_cast<size_t>(k)],
               image.row());
  }
  return made;
}

FloatImage filter_columns(const FloatImage& image, const std::vector<float>& half, Border border) {
  FloatImage made(image.height, image.width, image.channels);
  const auto radius = static_cast<int64_t>(half.size()) - 1;
  if (radius >= image.height) {
    const std::vector<float> weights = folded(half, image.height, border);
    for (int64_t y = 0; y < image.height; ++y)
      for (int64_t from = 0; from < image.height; ++from)
        add_scaled(made.row_at(y), image.row_at(from),
                   weights[static_cast<size_t>(from * image.height + y)], image.row());
    return made;
  }
  for (int64_t y = 0; y < image.height; ++y) {
    float* out = made.row_at(y);
    add_scaled(out, image.row_at(y), half[0], image.row());
    for (int64_t k = 1; k <= radius; ++k)
      add_pair(out, image.row_at(border_index(y - k, image.height, border)),
               image.row_at(border_index(y + k, image.height, border)),
               half[static_cast<size_t>(k)], image.row());
  }
  return made;
}

/// One axis of an enlargement: between which two inputs each output lies.
struct Between {
  std::vector<int64_t> first;
  std::vector<float> weight;  ///< of the second
};

Between zoom_axis(int64_t count, double zoom, int64_t& top) {
  const auto cut = static_cast<int64_t>(std::ceil(static_cast<double>(count) / zoom));
  top = (count - cut) / 2;
  // Python's round: halves to the even neighbour.
  const auto enlarged = static_cast<int64_t>(std::nearbyint(static_cast<double>(cut) * zoom));
  const int64_t skipped = (enlarged - count) / 2;
  const double step =
      enlarged > 1 ? static_cast<double>(cut - 1) / static_cast<double>(enlarged - 1) : 0.0;
  Between axis;
  for (int64_t i = 0; i < count; ++i) {
    const double at =
        std::min(static_cast<double>(i + skipped) * step, static_cast<double>(cut - 1));
    const auto first = std::min(static_cast<int64_t>(at), std::max<int64_t>(cut - 2, 0));
    axis.first.push_back(first);
    axis.weight.push_back(static_cast<float>(at - static_cast<double>(first)));
  }
  return axis;
}

}  // namespace

FloatImage gaussian_filter(const FloatImage& image, double sigma, double cut, Border border) {
  const auto radius = static_cast<int64_t>(cut * sigma + 0.5);
  if (radius == 0) return image;
  const std::vector<float> half = half_gaussian(sigma, radius);
  return filter_rows(filter_columns(image, half, border), half, border);
}

FloatImage symmetric_filter(const FloatImage& image, const std::vector<float>& kernel, int64_t side,
                            Border border) {
  const int64_t radius = side / 2;
  const int64_t channels = image.channels;
  const FloatImage wide = padded(image, radius, radius, border);
  FloatImage made(image.height, image.width, channels);
  std::vector<float> sums(static_cast<size_t>(wide.row()));
  for (int64_t y = 0; y < image.height; ++y) {
    float* out = made.row_at(y);
    for (int64_t j = 0; j <= radius; ++j) {
      const float* weights = &kernel[static_cast<size_t>((radius + j) * side + radius)];
      int64_t reach = radius;
      while (reach >= 0 && weights[reach] == 0.0F) --reach;
      if (reach < 0) continue;
      const float* above = wide.row_at(y + radius - j);
      const float* below = wide.row_at(y + radius + j);
      const float share = j == 0 ? 0.5F : 1.0F;
      for (int64_t i = 0; i < wide.row(); ++i)
        sums[static_cast<size_t>(i)] = share * (above[i] + below[i]);
      const float* middle = sums.data() + radius * channels;
      add_scaled(out, middle, weights[0], image.row());
      for (int64_t i = 1; i <= reach; ++i)
        add_pair(out, middle - i * channels, middle + i * channels, weights[i], image.row());
    }
  }
  return made;
}

FloatImage line_filter(const FloatImage& image, int64_t radius, double sigma, double degrees) {
  const int64_t taps = 2 * radius + 1;
  const double angle = degrees * M_PI / 180.0;
  std::vector<double> weights(static_cast<size_t>(taps));
  double sum = 0.0;
  for (int64_t i = 0; i < taps; ++i) {
    const double at = static_cast<double>(i) / sigma;
    sum += weights[static_cast<size_t>(i)] = std::exp(-0.5 * at * at);
  }
  const auto offset = [](int64_t i, double direction) {
    return static_cast<int64_t>(std::ceil(static_cast<double>(i) * direction - 0.5));
  };
  const FloatImage wide = padded(image, taps, taps, Border::replicate);
  FloatImage made(image.height, image.width, image.channels);
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t i = 0; i < taps; ++i)
      add_scaled(made.row_at(y),
                 wide.row_at(y + taps + offset(i, std::sin(angle))) +
                     (taps + offset(i, std::cos(angle))) * image.channels,
                 static_cast<float>(weights[static_cast<size_t>(i)] / sum), image.row());
  for (float& value : made.values) value = std::floor(value + 0.5F);
  return made;
}

FloatImage zoomed(const FloatImage& image, double zoom) {
  int64_t top = 0;
  int64_t left = 0;
  const Between rows = zoom_axis(image.height, zoom, top);
  const Between columns = zoom_axis(image.width, zoom, left);
  const int64_t channels = image.channels;
  FloatImage made(image.height, image.width, channels);
  // Rows are stretched once each, as two neighbours follow from the same ones.
  int64_t ready = -1;
  std::vector<float> upper(static_cast<size_t>(image.row()));
  std::vector<float> lower(static_cast<size_t>(image.row()));
  const auto stretch = [&](int64_t y, std::vector<float>& out) {
    const float* from = image.row_at(std::min(top + y, image.height - 1)) + left * channels;
    for (int64_t x = 0; x < image.width; ++x) {
      const float* pixel = from + columns.first[static_cast<size_t>(x)] * channels;
      const float weight = columns.weight[static_cast<size_t>(x)];
      for (int64_t c = 0; c < channels; ++c)
        out[static_cast<size_t>(x * channels + c)] =
            pixel[c] + weight * (pixel[c + channels] - pixel[c]);
    }
  };
  for (int64_t y = 0; y < image.height; ++y) {
    const int64_t first = rows.first[static_cast<size_t>(y)];
    if (first != ready) {
      if (first == ready + 1 && ready >= 0)
        upper.swap(lower);
      else
        stretch(first, upper);
      stretch(first + 1, lower);
      ready = first;
    }
    const float weight = rows.weight[static_cast<size_t>(y)];
    float* out = made.row_at(y);
    for (int64_t i = 0; i < image.row(); ++i) {
      const auto at = static_cast<size_t>(i);
      out[i] = upper[at] + weight * (lower[at] - upper[at]);
    }
  }
  return made;
}

}  // namespace pal
