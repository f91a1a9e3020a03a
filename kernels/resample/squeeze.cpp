#include "kernels/resample/squeeze.h"

#include "kernels/resample/patch_check.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

/// Calls body(upper left, upper right, lower left, lower right pixel, squeezed pixel) per patch.
template <typename T, typename Body>
void for_each_patch(const Tensor& fine, const Tensor& coarse, Body&& body) {
  const int64_t width = coarse.size(2);
  const int64_t pitch = fine.pitch();
  T* fine_values = fine.data<T>();
  T* coarse_values = coarse.data<T>();
  parallel_for(coarse.rows(), row_grain(coarse.channels()), [&](int64_t begin, int64_t end) {
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      const int64_t corner = 2 * (pixel / width) * 2 * width + 2 * (pixel % width);
      T* upper = fine_values + corner * pitch;
      T* lower = upper + 2 * width * pitch;
      body(upper, upper + pitch, lower, lower + pitch, coarse_values + pixel * coarse.pitch());
    }
  });
}

}  // namespace

void squeeze(const Tensor& x, const Tensor& y) {
  check_patches("squeeze", "squeezed image", x, y);
  const ProfileScope scope("squeeze", x.bytes() + y.bytes());
  dispatch_floating("squeeze", x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const int64_t channels = x.channels();
    for_each_patch<T>(x, y,
                      [&](const T* __restrict a, const T* __restrict b, const T* __restrict c,
                          const T* __restrict d, T* __restrict out) {
                        for (int64_t i = 0; i < channels; ++i) {
                          out[4 * i] = a[i];
                          out[4 * i + 1] = b[i];
                          out[4 * i + 2] = c[i];
                          out[4 * i + 3] = d[i];
                        }
                      });
  });
}

void unsqueeze(const Tensor& y, const Tensor& x) {
  check_patches("unsqueeze", "squeezed image", x, y);
  const ProfileScope scope("unsqueeze", x.bytes() + y.bytes());
  dispatch_floating("unsqueeze", x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const int64_t channels = x.channels();
    for_each_patch<T>(x, y,
                      [&](T* __restrict a, T* __restrict b, T* __restrict c, T* __restrict d,
                          const T* __restrict in) {
                        for (int64_t i = 0; i < channels; ++i) {
                          a[i] = in[4 * i];
                          b[i] = in[4 * i + 1];
                          c[i] = in[4 * i + 2];
                          d[i] = in[4 * i + 3];
                        }
                      });
  });
}

}  // namespace pal::cpu
