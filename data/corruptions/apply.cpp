#include "data/corruptions/cores.h"
#include "data/corruptions/severities.h"
#include "runtime/error.h"

namespace pal::cores {
namespace {

FloatImage unclipped(const Image& image, Corruption corruption, int severity, ParameterSet set,
                     const Draws& draws, bool glass_copy) {
  switch (corruption) {
    case Corruption::gaussian_noise:
      return gaussian_noise(image, severities::kGaussianNoise.at(set, severity), draws);
    case Corruption::shot_noise:
      return shot_noise(image, severities::kShotNoise.at(set, severity), draws);
    case Corruption::impulse_noise:
      return impulse_noise(image, severities::kImpulseNoise.at(set, severity), draws);
    case Corruption::defocus_blur:
      return defocus_blur(image, severity, set);
    case Corruption::glass_blur:
      return glass_blur(image, severity, set, draws, glass_copy);
    case Corruption::motion_blur:
      return motion_blur(image, severity, set, draws);
    case Corruption::zoom_blur:
      return zoom_blur(image, severity, set);
    case Corruption::snow:
      return snow(image, severity, set, draws);
    case Corruption::frost:
      return frost(image, severity, set, draws);
    case Corruption::fog:
      return fog(image, severity, set, draws);
    case Corruption::brightness:
      return brightness(image, severities::kBrightness.at(set, severity));
    case Corruption::contrast:
      return contrast(image, severities::kContrast.at(set, severity));
    case Corruption::elastic:
      return elastic(image, severity, set, draws);
    case Corruption::pixelate:
      return pixelate(image, severities::kPixelate.at(set, severity));
    case Corruption::jpeg:
      return jpeg(image, severities::kJpeg.at(set, severity));
    case Corruption::speckle_noise:
      return speckle_noise(image, severities::kSpeckleNoise.at(set, severity), draws);
    case Corruption::gaussian_blur:
      return gaussian_blur(image, severities::kGaussianBlur.at(set, severity));
    case Corruption::spatter:
      return spatter(image, severity, set, draws);
    case Corruption::saturate:
      return saturate(image, severity, set);
  }
  fail(ErrorKind::failure, "corrupted: no such corruption");
}

}  // namespace

FloatImage apply(const Image& image, Corruption corruption, int severity, ParameterSet set,
                 const Draws& draws, bool glass_copy) {
  FloatImage made = unclipped(image, corruption, severity, set, draws, glass_copy);
  clip_levels(made);
  return made;
}

}  // namespace pal::cores
