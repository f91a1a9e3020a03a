#pragma once
#include <cstdint>

#include "kernels/common/backend.h"

namespace pal::image_math {

/// Levels of an 8-bit image are steps of 1/255 (experiments/measures/README.md, 2).
inline constexpr float kLevels = 255.0F;

/// What `normalized` multiplies levels by.
PAL_HD float scale_of(double deviation) { return static_cast<float>(1.0 / (kLevels * deviation)); }
/// What `normalized` adds.
PAL_HD float shift_of(double mean, double deviation) {
  return static_cast<float>(-mean / deviation);
}
/// The largest level that `normalized` lets pass, noise included.
PAL_HD float top_level(bool clamp) { return clamp ? kLevels : kLevels + 1.0F; }

/// ((level + noise) / 255 - mean) / std. Noise counts in levels, from [0, 1). Compilers may fuse
/// the product and the sum, so backends may differ by half a unit in the last place of the product.
PAL_HD float normalized(float level, float noise, float top, float scale, float shift) {
  const float noisy = level + noise;
  return (noisy < top ? noisy : top) * scale + shift;
}

/// The source coordinate that lands at `target` once the axis is mirrored (if `flip`) and then
/// moved by `shift`; outside [0, size) where level 0 is filled in.
PAL_HD int64_t source_coordinate(int64_t target, int64_t size, int64_t shift, bool flip) {
  const int64_t moved = target - shift;
  return flip ? size - 1 - moved : moved;
}

}  // namespace pal::image_math
