#pragma once
#include <cstdint>
#include <span>

#include "kernels/image/image.h"

namespace pal {

/// What a kernel must know of an image's ImagePlacement; the image's levels are the batch's levels
/// of the same rank.
struct UploadedPlacement {
  uint64_t noise_stream;
  int32_t dx;    ///< pixels, at most the width
  int32_t dy;    ///< pixels, at most the height
  int32_t flip;  ///< 0 or 1
};

/// Where the things that normalize_images needs on a device lie in one block of memory, so that one
/// copy brings a whole batch: placements first, then scales and shifts of the channels, then
/// levels.
struct ImageUpload {
  /// The layout for a batch of the shape of `out`.
  explicit ImageUpload(const Tensor& out);

  /// Writes the block; the arguments are those of normalize_images, checked.
  void pack(std::span<const uint8_t> pixels, std::span<const ImagePlacement> placements,
            const ImageNormalization& normalization, uint8_t* block) const;

  Shape shape;         ///< [n, height, width, channels]
  int64_t image_size;  ///< values of an image
  int64_t scales;      ///< where the scales begin, in bytes
  int64_t shifts;      ///< where the shifts begin, in bytes
  int64_t levels;      ///< where the levels begin, in bytes
  int64_t bytes;       ///< of the whole block
};

}  // namespace pal
