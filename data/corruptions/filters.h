#pragma once
#include <cstdint>
#include <vector>

#include "data/corruptions/float_image.h"

namespace pal {

/// Gaussian blur of each channel, the kernel cut off at `cut` deviations (to whole pixels, as SciPy
/// does). A deviation of 0 changes nothing.
FloatImage gaussian_filter(const FloatImage& image, double sigma, double cut, Border border);

/// Convolution of each channel with a kernel that is symmetric left to right and top to bottom, of
/// odd side, stored by rows.
FloatImage symmetric_filter(const FloatImage& image, const std::vector<float>& kernel, int64_t side,
                            Border border);

/// Blur along one side of a line, as ImageMagick's: 2 radius + 1 taps from each pixel on in
/// direction `degrees`, half-Gaussian weights, the edges repeated, levels rounded.
FloatImage line_filter(const FloatImage& image, int64_t radius, double sigma, double degrees);

/// The middle of the image, enlarged `zoom` times by linear interpolation (corners on corners), as
/// large as the image was.
FloatImage zoomed(const FloatImage& image, double zoom);

}  // namespace pal
