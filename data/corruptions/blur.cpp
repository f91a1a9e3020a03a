#include <algorithm>

#include "data/corruptions/cores.h"
#include "data/corruptions/filters.h"
#include "data/corruptions/severities.h"

namespace pal::cores {
namespace {

/// Where Gaussian kernels of images end, in deviations.
constexpr double kCut = 4.0;

/// A disc on a grid of at least 17 pixels, its rim smoothed.
FloatImage disc(const severities::Defocus& strength) {
  const bool small = strength.radius <= 8.0;
  const int64_t reach = small ? 8 : static_cast<int64_t>(strength.radius);
  FloatImage made(2 * reach + 1, 2 * reach + 1, 1);
  float count = 0.0F;
  for (int64_t y = -reach; y <= reach; ++y)
    for (int64_t x = -reach; x <= reach; ++x)
      if (static_cast<double>(x * x + y * y) <= strength.radius * strength.radius) {
        made.row_at(y + reach)[x + reach] = 1.0F;
        ++count;
      }
  for (float& value : made.values) value /= count;
  // Three or five taps, whatever the deviation.
  const double cut = (small ? 1.0 : 2.0) / strength.rim;
  return gaussian_filter(made, strength.rim, cut, Border::mirror);
}

/// Moves pixels about, one after another.
void shake(Image& image, const severities::Glass& strength, const Draws& draws, bool copy) {
  const int64_t rows = glass_places(image.height, strength.reach);
  const int64_t columns = glass_places(image.width, strength.reach);
  const int64_t channels = image.channels;
  const int32_t* move = draws.moves.data();
  for (int pass = 0; pass < strength.passes; ++pass)
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j, move += 2) {
        const int64_t at = (image.height - strength.reach - i) * image.row() +
                           (image.width - strength.reach - j) * channels;
        uint8_t* here = image.pixels.data() + at;
        uint8_t* there = here + move[1] * image.row() + move[0] * channels;
        if (copy)
          for (int64_t c = 0; c < channels; ++c) here[c] = there[c];
        else
          std::swap_ranges(here, here + channels, there);
      }
}

}  // namespace

FloatImage defocus_blur(const Image& image, int severity, ParameterSet set) {
  const FloatImage kernel = disc(severities::kDefocus.at(set, severity));
  return symmetric_filter(to_float(image), kernel.values, kernel.width, Border::mirror);
}

FloatImage glass_blur(const Image& image, int severity, ParameterSet set, const Draws& draws,
                      bool copy) {
  const severities::Glass& strength = severities::kGlass.at(set, severity);
  Image shaken =
      to_levels(gaussian_filter(to_float(image), strength.sigma, kCut, Border::replicate));
  shake(shaken, strength, draws, copy);
  return gaussian_filter(to_float(shaken), strength.sigma, kCut, Border::replicate);
}

FloatImage motion_blur(const Image& image, int severity, ParameterSet set, const Draws& draws) {
  const severities::Motion& strength = severities::kMotion.at(set, severity);
  return line_filter(to_float(image), strength.radius, strength.sigma,
                     static_cast<double>(draws.degrees));
}

FloatImage zoom_blur(const Image& image, int severity, ParameterSet set) {
  const severities::Zoom& strength = severities::kZoom.at(set, severity);
  const FloatImage plain = to_float(image);
  FloatImage sum = plain;
  // As numpy counts, since a cut of the image depends on the last bit of a factor.
  const double step = (1.0 + strength.step) - 1.0;
  for (int i = 0; i < strength.count; ++i) {
    const FloatImage near = zoomed(plain, 1.0 + i * step);
    for (size_t at = 0; at < sum.values.size(); ++at) sum.values[at] += near.values[at];
  }
  const float share = 1.0F / static_cast<float>(strength.count + 1);
  for (float& value : sum.values) value *= share;
  return sum;
}

FloatImage gaussian_blur(const Image& image, double sigma) {
  return gaussian_filter(to_float(image), sigma, kCut, Border::replicate);
}

}  // namespace pal::cores
