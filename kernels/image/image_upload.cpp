#include "kernels/image/image_upload.h"

#include <algorithm>
#include <cstring>

#include "kernels/image/image_math.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

/// A shift by more than the extent leaves as little of the image as one by the extent.
int32_t bounded(int32_t shift, int64_t extent) {
  return static_cast<int32_t>(std::clamp<int64_t>(shift, -extent, extent));
}

}  // namespace

ImageUpload::ImageUpload(const Tensor& out)
    : shape(out.shape()),
      image_size(out.numel() / out.size(0)),
      scales(shape[0] * static_cast<int64_t>(sizeof(UploadedPlacement))),
      shifts(scales + shape[3] * static_cast<int64_t>(sizeof(float))),
      levels(shifts + shape[3] * static_cast<int64_t>(sizeof(float))),
      bytes(levels + shape[0] * image_size) {}

void ImageUpload::pack(std::span<const uint8_t> pixels, std::span<const ImagePlacement> placements,
                       const ImageNormalization& normalization, uint8_t* block) const {
  auto* const scale = reinterpret_cast<float*>(block + scales);
  auto* const shift = reinterpret_cast<float*>(block + shifts);
  for (size_t c = 0; c < normalization.mean.size(); ++c) {
    scale[c] = image_math::scale_of(normalization.std[c]);
    shift[c] = image_math::shift_of(normalization.mean[c], normalization.std[c]);
  }
  auto* const placed = reinterpret_cast<UploadedPlacement*>(block);
  parallel_for(shape[0], row_grain(image_size), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const ImagePlacement& from = placements[static_cast<size_t>(n)];
      placed[n] = {from.noise_stream, bounded(from.dx, shape[2]), bounded(from.dy, shape[1]),
                   from.flip ? 1 : 0};
      std::memcpy(block + levels + n * image_size, pixels.data() + from.source * image_size,
                  static_cast<size_t>(image_size));
    }
  });
}

}  // namespace pal
