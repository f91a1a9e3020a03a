#include "kernels/library/bias.h"

#include "kernels/common/block.cuh"
#include "kernels/common/check.h"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

/// Adds a bias; a thread takes one access of kWidth elements a turn. `vectors` of them make a row,
/// `count` the tensor.
template <typename T, typename Bias, int kWidth>
__global__ void __launch_bounds__(kThreads)
    add_bias_kernel(const Bias* bias, T* y, int64_t pitch, int64_t vectors, int64_t count) {
  for (int64_t i = global_thread(); i < count; i += global_threads()) {
    const int64_t row = i / vectors;
    const int64_t column = (i - row * vectors) * kWidth;
    T* at = y + row * pitch + column;
    Vec<T, kWidth> values = load_vector<kWidth>(at);
#pragma unroll
    for (int k = 0; k < kWidth; ++k)
      values.at[k] = T(static_cast<float>(values.at[k]) + static_cast<float>(bias[column + k]));
    store_vector(at, values);
  }
}

template <typename T, typename Bias, int kWidth>
void add(const Tensor& bias, const Tensor& y) {
  const int64_t vectors = y.channels() / kWidth;
  const int64_t count = y.rows() * vectors;
  launch(add_bias_kernel<T, Bias, kWidth>, grid_for(count, kThreads), kThreads, 0, stream(),
         bias.data<Bias>(), y.data<T>(), y.pitch(), vectors, count);
}

template <typename T, typename Bias>
void add_any(const Tensor& bias, const Tensor& y) {
  if (vector_rows<kVectorWidth<T>>(y)) return add<T, Bias, kVectorWidth<T>>(bias, y);
  add<T, Bias, 1>(bias, y);
}

}  // namespace

void add_bias(const Tensor& bias, const Tensor& y) {
  const bool narrow = bias.dtype() == DType::bf16 && y.dtype() == DType::bf16;
  expect_tensor("add_bias", "bias", bias, {y.channels()}, narrow ? DType::bf16 : DType::f32);
  const ProfileScope profile("add_bias", 2 * y.bytes(), y.numel());
  if (y.numel() == 0) return;
  if (narrow) return add_any<bfloat16, bfloat16>(bias, y);
  if (y.dtype() == DType::bf16) return add_any<bfloat16, float>(bias, y);
  expect_dtype("add_bias", "y", y, DType::f32);
  add_any<float, float>(bias, y);
}

}  // namespace pal::cuda
