#include <algorithm>

#include "data/corruptions/cores.h"
#include "data/corruptions/filters.h"
#include "data/corruptions/severities.h"

namespace pal::cores {
namespace {

/// How white snow makes a pixel of some levels: brighter, and grey.
float whitened(const float* pixel, int64_t channels) {
  const float grey =
      channels == 3 ? 0.299F * pixel[0] + 0.587F * pixel[1] + 0.114F * pixel[2] : pixel[0];
  return 1.5F * grey + 127.5F;
}

/// A cloud on a torus of `side` pixels, a power of two, by diamonds and squares from one corner of
/// 0, scaled to [0, 1]. At each level, from large to small, `uniform` has in order: the middles of
/// its squares, the middles of their top edges, of their left edges.
FloatImage plasma(int64_t side, double decay, const std::vector<float>& uniform) {
  FloatImage map(side, side, 1);
  const float* next = uniform.data();
  double wobble = 100.0;
  for (int64_t step = side; step >= 2; step /= 2, wobble /= decay) {
    const int64_t half = step / 2;
    const int64_t count = side / step;
    const auto amplitude = static_cast<float>(wobble * wobble);
    const auto at = [&](int64_t y, int64_t x) { return map.row_at(y)[x]; };
    const auto before = [&](int64_t place) { return place >= step ? place - half : side - half; };
    const auto after = [&](int64_t place) { return place + step < side ? place + step : 0; };
    for (int64_t y = 0; y < side; y += step)
      for (int64_t x = 0; x < side; x += step)
        map.row_at(y + half)[x + half] =
            0.25F * (at(y, x) + at(after(y), x) + at(y, after(x)) + at(after(y), after(x))) +
            amplitude * *next++;
    const float* left = next + count * count;
    for (int64_t y = 0; y < side; y += step)
      for (int64_t x = 0; x < side; x += step) {
        const float corner = at(y, x);
        const float middle = at(y + half, x + half);
        map.row_at(y)[x + half] =
            0.25F * (corner + at(y, after(x)) + middle + at(before(y), x + half)) +
            amplitude * *next++;
        map.row_at(y + half)[x] =
            0.25F * (corner + at(after(y), x) + middle + at(y + half, before(x))) +
            amplitude * *left++;
      }
    next = left;
  }
  const auto [least, most] = std::ranges::minmax_element(map.values);
  const float low = *least;
  const float scale = 1.0F / (*most - low);
  for (float& value : map.values) value = (value - low) * scale;
  return map;
}

}  // namespace

FloatImage snow(const Image& image, int severity, ParameterSet set, const Draws& draws) {
  const severities::Snow& strength = severities::kSnow.at(set, severity);
  FloatImage field(image.height, image.width, 1);
  field.values = draws.field;
  FloatImage flakes = zoomed(field, strength.zoom);
  const auto threshold = static_cast<float>(strength.threshold);
  for (float& value : flakes.values) value = value < threshold ? 0.0F : 255.0F * value;
  flakes = line_filter(to_float(to_levels(flakes)), strength.fall.radius, strength.fall.sigma,
                       static_cast<double>(draws.degrees));
  FloatImage made = to_float(image);
  const auto mix = static_cast<float>(strength.mix);
  const int64_t pixels = image.height * image.width;
  for (int64_t i = 0; i < pixels; ++i) {
    float* pixel = &made.values[static_cast<size_t>(i * image.channels)];
    const float white = whitened(pixel, image.channels);
    const float layer =
        flakes.values[static_cast<size_t>(i)] + flakes.values[static_cast<size_t>(pixels - 1 - i)];
    for (int64_t c = 0; c < image.channels; ++c)
      pixel[c] = mix * pixel[c] + (1.0F - mix) * std::max(pixel[c], white) + layer;
  }
  return made;
}

FloatImage frost(const Image& image, int severity, ParameterSet set, const Draws& draws) {
  const severities::Frost& strength = severities::kFrost.at(set, severity);
  FloatImage made = to_float(image);
  for (size_t i = 0; i < made.values.size(); ++i)
    made.values[i] =
        static_cast<float>(strength.image) * made.values[i] +
        static_cast<float>(strength.frost) * static_cast<float>(draws.picture.pixels[i]);
  return made;
}

FloatImage fog(const Image& image, int severity, ParameterSet set, const Draws& draws) {
  const severities::Fog& strength = severities::kFog.at(set, severity);
  const FloatImage map =
      plasma(fog_side(image.height, image.width, set), strength.decay, draws.uniform);
  FloatImage made = to_float(image);
  const auto amount = static_cast<float>(255.0 * strength.amount);
  const auto most = static_cast<float>(*std::ranges::max_element(image.pixels));
  const float scale = most / (most + amount);
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x)
      for (int64_t c = 0; c < image.channels; ++c) {
        float& value = made.row_at(y)[x * image.channels + c];
        value = (value + amount * map.row_at(y)[x]) * scale;
      }
  return made;
}

}  // namespace pal::cores
