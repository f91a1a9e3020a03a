#pragma once
#include <cmath>
#include <limits>

#include "kernels/image/image.h"

namespace pal {

/// What normalize_images of both backends asks of its arguments.
inline void check_images(std::span<const uint8_t> pixels,
                         std::span<const ImagePlacement> placements,
                         const ImageNormalization& normalization, const Tensor& out) {
  expect(out.rank() == 4 && out.dtype() == DType::f32 && out.is_dense() && out.numel() > 0,
         "normalize_images: expected a dense, non-empty f32 output of 4 extents, got {} {}",
         name_of(out.dtype()), out.shape().str());
  expect(static_cast<int64_t>(placements.size()) == out.size(0),
         "normalize_images: {} placements for {} images", placements.size(), out.size(0));
  const auto channels = static_cast<size_t>(out.channels());
  expect(normalization.mean.size() == channels && normalization.std.size() == channels,
         "normalize_images: {} means and {} deviations for {} channels", normalization.mean.size(),
         normalization.std.size(), channels);
  for (size_t c = 0; c < channels; ++c)
    expect(
        std::isfinite(normalization.mean[c]) && std::isfinite(normalization.std[c]) &&
            normalization.std[c] > 0.0F,
        "normalize_images: mean {} and deviation {} of channel {}; expected finite numbers and a "
        "positive deviation",
        normalization.mean[c], normalization.std[c], c);
  const int64_t sources = static_cast<int64_t>(pixels.size()) / (out.numel() / out.size(0));
  for (const ImagePlacement& placement : placements)
    expect(placement.source >= 0 && placement.source < sources,
           "normalize_images: image {} of {} images", placement.source, sources);
}

}  // namespace pal
