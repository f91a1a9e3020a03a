#pragma once
#include "data/corruptions/corruption.h"
#include "data/corruptions/draws.h"
#include "data/corruptions/float_image.h"

// What each corruption does once everything random is drawn. Images are in levels, results may lie
// outside [0, 255]; nothing is checked here.
namespace pal::cores {

FloatImage gaussian_noise(const Image& image, double deviation, const Draws& draws);
FloatImage shot_noise(const Image& image, double photons, const Draws& draws);
FloatImage impulse_noise(const Image& image, double share, const Draws& draws);
FloatImage speckle_noise(const Image& image, double deviation, const Draws& draws);

FloatImage defocus_blur(const Image& image, int severity, ParameterSet set);
FloatImage glass_blur(const Image& image, int severity, ParameterSet set, const Draws& draws,
                      bool copy);
FloatImage motion_blur(const Image& image, int severity, ParameterSet set, const Draws& draws);
FloatImage zoom_blur(const Image& image, int severity, ParameterSet set);
FloatImage gaussian_blur(const Image& image, double sigma);

FloatImage snow(const Image& image, int severity, ParameterSet set, const Draws& draws);
FloatImage frost(const Image& image, int severity, ParameterSet set, const Draws& draws);
FloatImage fog(const Image& image, int severity, ParameterSet set, const Draws& draws);

FloatImage spatter(const Image& image, int severity, ParameterSet set, const Draws& draws);

FloatImage brightness(const Image& image, double amount);
FloatImage contrast(const Image& image, double factor);
FloatImage saturate(const Image& image, int severity, ParameterSet set);

FloatImage elastic(const Image& image, int severity, ParameterSet set, const Draws& draws);
FloatImage pixelate(const Image& image, double size);
FloatImage jpeg(const Image& image, int quality);

/// Whichever it is, clipped to [0, 255] but not rounded.
FloatImage apply(const Image& image, Corruption corruption, int severity, ParameterSet set,
                 const Draws& draws, bool glass_copy);

}  // namespace pal::cores
