#include "kernels/resample/squeeze.h"

#include "kernels/resample/patch_check.h"
#include "kernels/resample/patches.cuh"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

// An item is kChannels channels of a patch: 4 kChannels neighbouring values of the coarse image,
// which one thread moves in accesses of kWidth. In the fine image neighbouring threads move
// neighbouring channels.

template <typename T, int kChannels, int kWidth>
__global__ void __launch_bounds__(kThreads)
    squeeze_kernel(const T* fine, T* coarse, Patches patches) {
  for (uint32_t i = first_item(); i < patches.count; i += item_step()) {
    const PatchItem item = patches.item(i);
    const T* in = fine + item.corner + item.group * kChannels;
    const Vec<T, kChannels> patch[4] = {
        load_vector<kChannels>(in), load_vector<kChannels>(in + patches.fine_pitch),
        load_vector<kChannels>(in + patches.fine_row),
        load_vector<kChannels>(in + patches.fine_row + patches.fine_pitch)};
    T* out = coarse + item.pixel * patches.coarse_pitch + item.group * (4 * kChannels);
#pragma unroll
    for (int first = 0; first < 4 * kChannels; first += kWidth) {
      Vec<T, kWidth> values;
#pragma unroll
      for (int k = 0; k < kWidth; ++k) values.at[k] = patch[(first + k) % 4].at[(first + k) / 4];
      store_vector(out + first, values);
    }
  }
}

template <typename T, int kChannels, int kWidth>
__global__ void __launch_bounds__(kThreads)
    unsqueeze_kernel(const T* coarse, T* fine, Patches patches) {
  for (uint32_t i = first_item(); i < patches.count; i += item_step()) {
    const PatchItem item = patches.item(i);
    const T* in = coarse + item.pixel * patches.coarse_pitch + item.group * (4 * kChannels);
    Vec<T, kChannels> patch[4];
#pragma unroll
    for (int first = 0; first < 4 * kChannels; first += kWidth) {
      const Vec<T, kWidth> values = load_vector<kWidth>(in + first);
#pragma unroll
      for (int k = 0; k < kWidth; ++k) patch[(first + k) % 4].at[(first + k) / 4] = values.at[k];
    }
    T* out = fine + item.corner + item.group * kChannels;
    store_vector(out, patch[0]);
    store_vector(out + patches.fine_pitch, patch[1]);
    store_vector(out + patches.fine_row, patch[2]);
    store_vector(out + patches.fine_row + patches.fine_pitch, patch[3]);
  }
}

template <typename T, int kChannels, int kWidth>
void run(const Tensor& fine, const Tensor& coarse, bool back) {
  for_each_patches(fine, coarse, fine.channels() / kChannels,
                   [&](const Tensor& f, const Tensor& c, const Patches& patches) {
                     const unsigned grid = grid_for(patches.count, kThreads);
                     if (back)
                       launch(unsqueeze_kernel<T, kChannels, kWidth>, grid, kThreads, 0, stream(),
                              c.data<T>(), f.data<T>(), patches);
                     else
                       launch(squeeze_kernel<T, kChannels, kWidth>, grid, kThreads, 0, stream(),
                              f.data<T>(), c.data<T>(), patches);
                   });
}

void move(const char* op, const Tensor& fine, const Tensor& coarse, bool back) {
  check_patches(op, "squeezed image", fine, coarse);
  const ProfileScope scope(op, fine.bytes() + coarse.bytes());
  switch (fine.dtype()) {
    case DType::f32:
      return vector_rows<4>(coarse) ? run<float, 1, 4>(fine, coarse, back)
                                    : run<float, 1, 1>(fine, coarse, back);
    case DType::bf16:
      if (vector_rows<8>(coarse) && vector_rows<2>(fine))
        return run<bfloat16, 2, 8>(fine, coarse, back);
      return vector_rows<4>(coarse) ? run<bfloat16, 1, 4>(fine, coarse, back)
                                    : run<bfloat16, 1, 1>(fine, coarse, back);
    default:
      fail(ErrorKind::usage, "{}: {} streams are for the CPU backend", op, name_of(fine.dtype()));
  }
}

}  // namespace

void squeeze(const Tensor& x, const Tensor& y) { move("squeeze", x, y, false); }

void unsqueeze(const Tensor& y, const Tensor& x) { move("unsqueeze", x, y, true); }

}  // namespace pal::cuda
