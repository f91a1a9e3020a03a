#include "kernels/image/image.h"

#include <mutex>

#include "kernels/common/items.cuh"
#include "kernels/image/image_check.h"
#include "kernels/image/image_math.h"
#include "kernels/image/image_upload.h"
#include "runtime/cuda.h"
#include "runtime/philox_math.h"
#include "runtime/profiler.h"
#include "runtime/staging.h"

namespace pal::cuda {
namespace {

/// One call of Philox makes the noise of a group of values.
constexpr int kGroup = 4;

/// The operands of one launch, in memory of the GPU.
struct ImageBatch {
  const UploadedPlacement* placements;
  const float* scales;
  const float* shifts;
  const uint8_t* levels;
  float* out;
  int64_t height;
  int64_t width;
  uint32_t size;  ///< values of an image
  uint32_t items;
  Divisor groups;  ///< of an image
  Divisor row;     ///< values of a row
  Divisor channels;
  uint64_t seed;
  float top;
};

/// An item is a group of values of an image that lie next to each other in the output; the last one
/// may be short. kWidth: values of one write.
template <bool kNoise, int kWidth>
__global__ void __launch_bounds__(kThreads) normalize_images_kernel(ImageBatch batch) {
  for (uint32_t i = first_item(); i < batch.items; i += item_step()) {
    const uint32_t image = batch.groups.quotient(i);
    const uint32_t first = (i - image * batch.groups.value()) * kGroup;
    const UploadedPlacement placement = batch.placements[image];
    const uint8_t* levels = batch.levels + static_cast<int64_t>(image) * batch.size;
    uint32_t y = batch.row.quotient(first);
    const uint32_t rest = first - y * batch.row.value();
    uint32_t x = batch.channels.quotient(rest);
    uint32_t c = rest - x * batch.channels.value();
    philox_math::Words noise = {};
    if (kNoise)
      noise = philox_math::words(batch.seed, RandomPurpose::noise, placement.noise_stream,
                                 first / kGroup);
    Vec<float, kGroup> values;
    // Values behind the last one of the image read inside it, if at all, and are not written.
#pragma unroll
    for (int k = 0; k < kGroup; ++k) {
      const int64_t from_y = image_math::source_coordinate(y, batch.height, placement.dy, false);
      const int64_t from_x =
          image_math::source_coordinate(x, batch.width, placement.dx, placement.flip != 0);
      float level = 0.0F;
      if (from_y >= 0 && from_y < batch.height && from_x >= 0 && from_x < batch.width)
        level = static_cast<float>(
            levels[(from_y * batch.width + from_x) * batch.channels.value() + c]);
      values.at[k] = image_math::normalized(level, kNoise ? uniform_of(noise.at[k]) : 0.0F,
                                            batch.top, batch.scales[c], batch.shifts[c]);
      if (++c == batch.channels.value()) {
        c = 0;
        if (++x == batch.width) {
          x = 0;
          ++y;
        }
      }
    }
    float* out = batch.out + static_cast<int64_t>(image) * batch.size + first;
    if constexpr (kWidth == kGroup) {
      store_vector(out, values);
    } else {
#pragma unroll
      for (int k = 0; k < kGroup; ++k)
        if (first + k < batch.size) out[k] = values.at[k];
    }
  }
}

/// The way of all batches to the device, of one at a time.
struct Uploads {
  std::mutex mutex;
  StagingRing ring;
};
Uploads& uploads() {
  static Uploads instance;
  return instance;
}

}  // namespace

void normalize_images(std::span<const uint8_t> pixels, std::span<const ImagePlacement> placements,
                      const ImageNormalization& normalization, const Tensor& out) {
  check_images(pixels, placements, normalization, out);
  const ImageUpload layout(out);
  expect(layout.image_size <= kMostItems, "normalize_images: images of {} values; at most {}",
         layout.image_size, kMostItems);
  const ProfileScope profile("normalize_images", out.numel() * 5, out.numel() * 4);
  const std::lock_guard lock(uploads().mutex);
  StagingRing& ring = uploads().ring;
  layout.pack(pixels, placements, normalization, static_cast<uint8_t*>(ring.acquire(layout.bytes)));
  const Tensor sent = ring.send(layout.bytes, out.device());
  const auto* block = sent.data<uint8_t>();
  const Shape& shape = layout.shape;
  const int64_t groups = (layout.image_size + kGroup - 1) / kGroup;
  const bool vectorised = layout.image_size % kGroup == 0 &&
                          reinterpret_cast<uintptr_t>(out.raw()) % sizeof(Vec<float, kGroup>) == 0;
  for_each_part(shape[0], groups, [&](int64_t first, int64_t count) {
    const ImageBatch batch{reinterpret_cast<const UploadedPlacement*>(block) + first,
                           reinterpret_cast<const float*>(block + layout.scales),
                           reinterpret_cast<const float*>(block + layout.shifts),
                           block + layout.levels + first * layout.image_size,
                           out.data<float>() + first * layout.image_size,
                           shape[1],
                           shape[2],
                           static_cast<uint32_t>(layout.image_size),
                           static_cast<uint32_t>(count * groups),
                           Divisor(groups),
                           Divisor(shape[2] * shape[3]),
                           Divisor(shape[3]),
                           normalization.seed,
                           image_math::top_level(normalization.clamp)};
    void (*kernel)(ImageBatch) = normalization.noise
                                     ? (vectorised ? normalize_images_kernel<true, kGroup>
                                                   : normalize_images_kernel<true, 1>)
                                     : (vectorised ? normalize_images_kernel<false, kGroup>
                                                   : normalize_images_kernel<false, 1>);
    launch(kernel, grid_for(batch.items, kThreads), kThreads, 0, stream(), batch);
  });
  ring.submitted();
}

}  // namespace pal::cuda
