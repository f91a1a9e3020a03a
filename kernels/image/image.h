#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/common/backend.h"

namespace pal {

/// How one image of a batch is made: mirrored left to right if `flip`, then moved right by `dx` and
/// down by `dy` pixels; pixels that come from outside have level 0.
struct ImagePlacement {
  int64_t source = 0;  ///< index of the image among the source images
  int32_t dx = 0;      ///< pixels
  int32_t dy = 0;      ///< pixels
  bool flip = false;
  uint64_t noise_stream = 0;  ///< Philox stream of this image's noise
};

/// How levels 0 to 255 become what a network reads.
struct ImageNormalization {
  std::vector<float> mean;  ///< one per channel, of pixels in [0, 1]
  std::vector<float> std;   ///< one per channel, of pixels in [0, 1], positive
  uint64_t seed = 0;        ///< of the noise
  bool noise = false;       ///< adds uniform noise from [0, 1) levels (dequantisation)
  bool clamp = false;       ///< limits pixels to 1 after the noise
};

/// Overwrites out [n, height, width, channels] (f32, dense) with
///   (x - mean) / std,  x = (v + u) / 255,
/// where v is the level that the placement puts there (level 0 of a filled pixel gets noise like
/// any other) and u is 0 or the noise (experiments/measures/README.md, 2). The noise of value i of
/// an image, counted in the output, is word i % 4 of Philox(seed, noise, noise_stream) at i / 4.
/// `pixels` (in host memory on both backends) holds whole images of out's size, one after another,
/// channels last; they may change once the call returns. On a GPU the call may wait for an upload
/// of an earlier one, so it cannot be part of a graph, and images have less than 2^31 values.
/// Throws usage when sizes do not fit, the batch is empty or a source lies outside.
PAL_KERNEL(void normalize_images(std::span<const uint8_t> pixels,
                                 std::span<const ImagePlacement> placements,
                                 const ImageNormalization& normalization, const Tensor& out))

}  // namespace pal
