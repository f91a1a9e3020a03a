#include "data/corruptions/cores.h"

namespace pal::cores {
namespace {

constexpr float kWhite = 255.0F;

}  // namespace

FloatImage gaussian_noise(const Image& image, double deviation, const Draws& draws) {
  FloatImage made = to_float(image);
  const auto scale = static_cast<float>(255.0 * deviation);
  for (size_t i = 0; i < made.values.size(); ++i) made.values[i] += scale * draws.normal[i];
  return made;
}

FloatImage shot_noise(const Image& image, double photons, const Draws& draws) {
  FloatImage made(image.height, image.width, image.channels);
  const auto scale = static_cast<float>(255.0 / photons);
  for (size_t i = 0; i < made.values.size(); ++i)
    made.values[i] = scale * static_cast<float>(draws.poisson[i]);
  return made;
}

FloatImage impulse_noise(const Image& image, double share, const Draws& draws) {
  FloatImage made = to_float(image);
  const auto limit = static_cast<float>(share);
  for (size_t i = 0; i < made.values.size(); ++i) {
    const float changed = draws.salt[i] < 0.5F ? kWhite : 0.0F;
    made.values[i] = draws.flip[i] < limit ? changed : made.values[i];
  }
  return made;
}

FloatImage speckle_noise(const Image& image, double deviation, const Draws& draws) {
  FloatImage made = to_float(image);
  const auto scale = static_cast<float>(deviation);
  for (size_t i = 0; i < made.values.size(); ++i)
    made.values[i] += made.values[i] * scale * draws.normal[i];
  return made;
}

}  // namespace pal::cores
