#include "kernels/resample/haar_backend.h"
#include "kernels/resample/haar_math.h"
#include "kernels/resample/patches.cuh"

namespace pal::cuda {
namespace {

constexpr int kWidth = kVectorWidth<float>;
using Quad = Vec<float, kWidth>;

/// The butterfly of four vectors, channel by channel, in place.
__device__ inline void transform(Quad (&patch)[4], float factor) {
#pragma unroll
  for (int k = 0; k < kWidth; ++k) {
    float parts[4];
    haar_math::butterfly(patch[0].at[k], patch[1].at[k], patch[2].at[k], patch[3].at[k], factor,
                         parts);
#pragma unroll
    for (int i = 0; i < 4; ++i) patch[i].at[k] = parts[i];
  }
}

/// An item is four channels of a patch.
__global__ void __launch_bounds__(kThreads)
    haar_analyse_kernel(const float* fine, float* coarse, Patches patches, float factor) {
  for (uint32_t i = first_item(); i < patches.count; i += item_step()) {
    const PatchItem item = patches.item(i);
    const float* in = fine + item.corner + item.group * kWidth;
    Quad patch[4] = {load_vector<kWidth>(in), load_vector<kWidth>(in + patches.fine_pitch),
                     load_vector<kWidth>(in + patches.fine_row),
                     load_vector<kWidth>(in + patches.fine_row + patches.fine_pitch)};
    transform(patch, factor);
    float* out = coarse + item.pixel * patches.coarse_pitch + item.group * kWidth;
#pragma unroll
    for (int k = 0; k < 4; ++k) store_vector(out + k * int64_t{patches.channels}, patch[k]);
  }
}

__global__ void __launch_bounds__(kThreads)
    haar_synthesise_kernel(const float* coarse, float* fine, Patches patches, float factor) {
  for (uint32_t i = first_item(); i < patches.count; i += item_step()) {
    const PatchItem item = patches.item(i);
    const float* in = coarse + item.pixel * patches.coarse_pitch + item.group * kWidth;
    Quad patch[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) patch[k] = load_vector<kWidth>(in + k * int64_t{patches.channels});
    transform(patch, factor);
    float* out = fine + item.corner + item.group * kWidth;
    store_vector(out, patch[0]);
    store_vector(out + patches.fine_pitch, patch[1]);
    store_vector(out + patches.fine_row, patch[2]);
    store_vector(out + patches.fine_row + patches.fine_pitch, patch[3]);
  }
}

// For few or unaligned channels an item is one value of the result, so that neighbouring threads
// write neighbouring values; the four threads that need an input find it in the cache.

/// An item is a channel of a coarse pixel: wavelet * channels + channel.
__global__ void __launch_bounds__(kThreads)
    haar_analyse_values_kernel(const float* fine, float* coarse, Patches patches, float factor) {
  for (uint32_t i = first_item(); i < patches.count; i += item_step()) {
    const PatchItem item = patches.item(i);
    const int which = (item.group >= patches.channels) + (item.group >= 2 * patches.channels) +
                      (item.group >= 3 * patches.channels);
    const float* in = fine + item.corner + (item.group - which * patches.channels);
    coarse[item.pixel * patches.coarse_pitch + item.group] =
        haar_math::wavelet(in[0], in[patches.fine_pitch], in[patches.fine_row],
                           in[patches.fine_row + patches.fine_pitch], factor, which);
  }
}

/// An item is a channel of a fine pixel; `width` that of the coarse image.
__global__ void __launch_bounds__(kThreads)
    haar_synthesise_values_kernel(const float* coarse, int64_t coarse_pitch, float* fine,
                                  int64_t fine_pitch, uint32_t count, Divisor channels,
                                  Divisor fine_width, uint32_t width, float factor) {
  for (uint32_t i = first_item(); i < count; i += item_step()) {
    const uint32_t pixel = channels.quotient(i);
    const uint32_t channel = i - pixel * channels.value();
    const uint32_t y = fine_width.quotient(pixel);
    const uint32_t x = pixel - y * fine_width.value();
    // Heights are even, so rows pair up across the whole batch.
    const uint32_t coarse_pixel = y / 2 * width + x / 2;
    const float* in = coarse + coarse_pixel * coarse_pitch + channel;
    const int64_t next = channels.value();
    fine[pixel * fine_pitch + channel] = haar_math::wavelet(
        in[0], in[next], in[2 * next], in[3 * next], factor, static_cast<int>(y % 2 * 2 + x % 2));
  }
}

bool is_vectorised(const Tensor& fine, const Tensor& coarse) {
  return vector_rows<kWidth>(fine) && vector_rows<kWidth>(coarse);
}

}  // namespace

void haar_analyse(const Tensor& fine, const Tensor& coarse, double factor) {
  const bool vectorised = is_vectorised(fine, coarse);
  for_each_patches(fine, coarse, vectorised ? fine.channels() / kWidth : coarse.channels(),
                   [&](const Tensor& from, const Tensor& to, const Patches& patches) {
                     launch(vectorised ? haar_analyse_kernel : haar_analyse_values_kernel,
                            grid_for(patches.count, kThreads), kThreads, 0, stream(),
                            from.data<float>(), to.data<float>(), patches,
                            static_cast<float>(factor));
                   });
}

void haar_synthesise(const Tensor& coarse, const Tensor& fine, double factor) {
  if (is_vectorised(fine, coarse)) {
    for_each_patches(fine, coarse, fine.channels() / kWidth,
                     [&](const Tensor& to, const Tensor& from, const Patches& patches) {
                       launch(haar_synthesise_kernel, grid_for(patches.count, kThreads), kThreads,
                              0, stream(), from.data<float>(), to.data<float>(), patches,
                              static_cast<float>(factor));
                     });
    return;
  }
  for_each_part(fine.size(0), fine.numel() / fine.size(0), [&](int64_t first, int64_t count) {
    const Tensor from = coarse.slice_batch(first, count);
    const Tensor to = fine.slice_batch(first, count);
    launch(haar_synthesise_values_kernel, grid_for(to.numel(), kThreads), kThreads, 0, stream(),
           from.data<float>(), from.pitch(), to.data<float>(), to.pitch(),
           static_cast<uint32_t>(to.numel()), Divisor(to.channels()), Divisor(to.size(2)),
           static_cast<uint32_t>(from.size(2)), static_cast<float>(factor));
  });
}

}  // namespace pal::cuda
