#include "kernels/optimizer/optimizer.h"

#include "kernels/arrays/elementwise_map.cuh"
#include "kernels/common/gpu_dtypes.h"
#include "kernels/optimizer/optimizer_check.h"
#include "kernels/optimizer/optimizer_math.h"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

struct Sgd {
  Matrix<float> parameters;
  Matrix<const float> grad;
  Matrix<float> buffer;
  const double* controls;
  optimizer_math::SgdNumbers<float> numbers;

  __device__ bool begin() {
    numbers = optimizer_math::SgdNumbers<float>(controls);
    return !numbers.halted();
  }

  template <int kWidth>
  __device__ void run(int64_t row, int64_t column) const {
    auto values = parameters.template load<kWidth>(row, column);
    auto momenta = buffer.template load<kWidth>(row, column);
    const auto gradients = grad.template load<kWidth>(row, column);
#pragma unroll
    for (int k = 0; k < kWidth; ++k)
      optimizer_math::sgd(values.at[k], momenta.at[k], gradients.at[k], numbers);
    store_vector(buffer.at(row, column), momenta);
    store_vector(parameters.at(row, column), values);
  }
};

__global__ void __launch_bounds__(32) sgd_clip_kernel(const double* squared_norms, double clip_norm,
                                                      double* controls, double* halted) {
  if (threadIdx.x == 0) optimizer_math::clip(squared_norms, clip_norm, controls, halted);
}

}  // namespace

void sgd_step(const Tensor& parameters, const Tensor& grad, const Tensor& buffer,
              const Tensor& controls) {
  check_sgd_step(parameters, grad, buffer, controls);
  expect_gpu_stream("sgd_step", parameters.dtype());
  const ProfileScope scope("sgd_step", 5 * parameters.bytes(), 6 * parameters.numel());
  const Sgd body{Matrix<float>(parameters),
                 Matrix<const float>(grad),
                 Matrix<float>(buffer),
                 controls.data<double>(),
                 {}};
  map_elements<kVectorWidth<float>>(body, {&parameters, &grad, &buffer});
}

void sgd_clip(const Tensor& squared_norms, double clip_norm, const Tensor& controls,
              const Tensor& halted) {
  check_sgd_clip(squared_norms, clip_norm, controls, halted);
  const ProfileScope scope("sgd_clip", squared_norms.bytes() + controls.bytes());
  launch(sgd_clip_kernel, 1, 32, 0, stream(), squared_norms.data<double>(), clip_norm,
         controls.data<double>(), halted.data<double>());
}

}  // namespace pal::cuda
