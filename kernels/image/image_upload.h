#pragma once
#include <cstdint>
#include <span>

#include "kernels/image/image.h"

namespace pal {

/// What a kernel must know of the placement of an image, whose levels lie at the same rank.
struct UploadedPlacement {
  uint64_t noise_stream;
  int32_t dx;
  int32_t dy;
  int32_t flip;
};

/// Where the things that normalize_images needs on a device lie in one block of memory, so that one
/// copy brings a whole batch: placements first, then scales and shifts of the channels, then
/// levels. Offsets in bytes.
struct ImageUpload {
  /// For a batch of the shape of `out`.
  explicit ImageUpload(const Tensor& out);

  /// Writes the block; the arguments are those of normalize_images, checked.
  void pack(std::span<const uint8_t> pixels, std::span<const ImagePlacement> placements,
            const ImageNormalization& normalization, uint8_t* block) const;

  Shape shape;
  int64_t image_size;
  int64_t scales;
  int64_t shifts;
  int64_t levels;
  int64_t bytes;
};

}  // namespace pal
