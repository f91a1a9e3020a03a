#include "kernels/optimizer/tanh_adam.h"

#include "kernels/arrays/elementwise_map.cuh"
#include "kernels/common/gpu_dtypes.h"
#include "kernels/optimizer/tanh_adam_check.h"
#include "kernels/optimizer/tanh_adam_math.h"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

struct TanhImages {
  Matrix<const float> v;
  Matrix<float> x;

  template <int kWidth>
  __device__ void run(int64_t row, int64_t column) const {
    auto values = v.template load<kWidth>(row, column);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) values.at[k] = tanh_adam_math::image_of(values.at[k]);
    store_vector(x.at(row, column), values);
  }
};

struct TanhAdam {
  tanh_adam_math::StepNumbers<float> numbers;
  const double* rates;
  Matrix<float> v;
  Matrix<float> first;
  Matrix<float> second;
  Matrix<float> x;
  Matrix<const float> grad;
  Matrix<const float> original;

  template <int kWidth>
  __device__ void run(int64_t sample, int64_t column) const {
    const double rate = rates[sample];
    if (rate == 0.0) return;
    const float step_size = numbers.step_size(rate);
    auto values = v.template load<kWidth>(sample, column);
    auto means = first.template load<kWidth>(sample, column);
    auto squares = second.template load<kWidth>(sample, column);
    auto images = x.template load<kWidth>(sample, column);
    const auto gradients = grad.template load<kWidth>(sample, column);
    const auto originals = original.template load<kWidth>(sample, column);
#pragma unroll
    for (int k = 0; k < kWidth; ++k)
      tanh_adam_math::step(values.at[k], means.at[k], squares.at[k], images.at[k], gradients.at[k],
                           originals.at[k], numbers, step_size);
    store_vector(v.at(sample, column), values);
    store_vector(first.at(sample, column), means);
    store_vector(second.at(sample, column), squares);
    store_vector(x.at(sample, column), images);
  }
};

}  // namespace

void tanh_images(const Tensor& v, const Tensor& x) {
  check_tanh_images(v, x);
  expect_gpu_stream("tanh_images", v.dtype());
  const ProfileScope scope("tanh_images", v.bytes() + x.bytes(), 4 * v.numel());
  map_elements<kVectorWidth<float>>(TanhImages{Matrix<const float>(v), Matrix<float>(x)}, {&v, &x});
}

void tanh_adam_step(const Tensor& v, const Tensor& first, const Tensor& second, const Tensor& grad,
                    const Tensor& original, const Tensor& rates, const AdamNumbers& numbers,
                    const Tensor& x) {
  check_tanh_adam_step(v, first, second, grad, original, rates, x);
  expect_gpu_stream("tanh_adam_step", v.dtype());
  const ProfileScope scope("tanh_adam_step", 10 * v.bytes(), 24 * v.numel());
  const TanhAdam body{tanh_adam_math::StepNumbers<float>(numbers),
                      rates.data<double>(),
                      Matrix<float>(v),
                      Matrix<float>(first),
                      Matrix<float>(second),
                      Matrix<float>(x),
                      Matrix<const float>(grad),
                      Matrix<const float>(original)};
  map_rows<kVectorWidth<float>>(body, {&v, &first, &second, &grad, &original, &x});
}

}  // namespace pal::cuda
