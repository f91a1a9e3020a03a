#include <algorithm>

#include "data/corruptions/cores.h"
#include "data/corruptions/severities.h"

namespace pal::cores {

FloatImage brightness(const Image& image, double amount) {
  FloatImage made = to_float(image);
  const auto added = static_cast<float>(255.0 * amount);
  if (image.channels == 1) {
    for (float& value : made.values) value += added;
    return made;
  }
  // Hue and saturation stay, so all three grow as the largest does.
  for (size_t i = 0; i < made.values.size(); i += 3) {
    float* pixel = &made.values[i];
    const float most = std::max({pixel[0], pixel[1], pixel[2]});
    const float wanted = std::min(most + added, 255.0F);
    for (int c = 0; c < 3; ++c) pixel[c] = most > 0.0F ? pixel[c] * (wanted / most) : wanted;
  }
  return made;
}

FloatImage contrast(const Image& image, double factor) {
  FloatImage made = to_float(image);
  const auto channels = static_cast<size_t>(image.channels);
  const auto scale = static_cast<float>(factor);
  for (size_t c = 0; c < channels; ++c) {
    int64_t sum = 0;
    for (size_t i = c; i < image.pixels.size(); i += channels) sum += image.pixels[i];
    const auto mean = static_cast<float>(static_cast<double>(sum) /
                                         static_cast<double>(image.height * image.width));
    for (size_t i = c; i < made.values.size(); i += channels)
      made.values[i] = (made.values[i] - mean) * scale + mean;
  }
  return made;
}

FloatImage saturate(const Image& image, int severity, ParameterSet set) {
  const severities::Saturate& strength = severities::kSaturate.at(set, severity);
  FloatImage made = to_float(image);
  for (size_t i = 0; i < made.values.size(); i += 3) {
    float* pixel = &made.values[i];
    const float most = std::max({pixel[0], pixel[1], pixel[2]});
    const float least = std::min({pixel[0], pixel[1], pixel[2]});
    if (most == 0.0F) continue;
    const float before = (most - least) / most;
    const float after = std::clamp(
        static_cast<float>(strength.factor) * before + static_cast<float>(strength.offset), 0.0F,
        1.0F);
    if (before > 0.0F) {
      for (int c = 0; c < 3; ++c) pixel[c] = most - (most - pixel[c]) * (after / before);
    } else {
      // Grey has the hue of red.
      pixel[1] = pixel[2] = most * (1.0F - after);
    }
  }
  return made;
}

}  // namespace pal::cores
