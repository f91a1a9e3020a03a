#include "kernels/resample/haar_backend.h"
#include "kernels/resample/haar_math.h"
#include "runtime/parallel.h"

namespace pal::cpu {
namespace {

/// Calls body(pixel of the upper left corner, coarse pixel) for all patches.
template <typename Body>
void for_each_patch(const Shape& coarse, Body&& body) {
  const int64_t width = coarse[2];
  parallel_for(coarse.rows(), row_grain(coarse.last()), [&](int64_t begin, int64_t end) {
    for (int64_t pixel = begin; pixel < end; ++pixel)
      body(2 * (pixel / width) * 2 * width + 2 * (pixel % width), pixel);
  });
}

template <typename T>
void analyse(const Tensor& fine, const Tensor& coarse, T factor) {
  const int64_t channels = fine.channels();
  const int64_t pitch = fine.pitch();
  const int64_t down = fine.size(2) * pitch;
  const T* from = fine.data<T>();
  T* to = coarse.data<T>();
  for_each_patch(coarse.shape(), [&](int64_t corner, int64_t pixel) {
    const T* __restrict in = from + corner * pitch;
    T* __restrict out = to + pixel * coarse.pitch();
    for (int64_t c = 0; c < channels; ++c) {
      T parts[4];
      haar_math::butterfly(in[c], in[pitch + c], in[down + c], in[down + pitch + c], factor, parts);
      out[c] = parts[0];
      out[channels + c] = parts[1];
      out[2 * channels + c] = parts[2];
      out[3 * channels + c] = parts[3];
    }
  });
}

template <typename T>
void synthesise(const Tensor& coarse, const Tensor& fine, T factor) {
  const int64_t channels = fine.channels();
  const int64_t pitch = fine.pitch();
  const int64_t down = fine.size(2) * pitch;
  const T* from = coarse.data<T>();
  T* to = fine.data<T>();
  for_each_patch(coarse.shape(), [&](int64_t corner, int64_t pixel) {
    const T* __restrict in = from + pixel * coarse.pitch();
    T* __restrict out = to + corner * pitch;
    for (int64_t c = 0; c < channels; ++c) {
      T parts[4];
      haar_math::butterfly(in[c], in[channels + c], in[2 * channels + c], in[3 * channels + c],
                           factor, parts);
      out[c] = parts[0];
      out[pitch + c] = parts[1];
      out[down + c] = parts[2];
      out[down + pitch + c] = parts[3];
    }
  });
}

}  // namespace

void haar_analyse(const Tensor& fine, const Tensor& coarse, double factor) {
  dispatch_real("haar_analyse", fine.dtype(), [&](auto typed) {
    using T = decltype(typed);
    analyse<T>(fine, coarse, static_cast<T>(factor));
  });
}

void haar_synthesise(const Tensor& coarse, const Tensor& fine, double factor) {
  dispatch_real("haar_synthesise", fine.dtype(), [&](auto typed) {
    using T = decltype(typed);
    synthesise<T>(coarse, fine, static_cast<T>(factor));
  });
}

}  // namespace pal::cpu
