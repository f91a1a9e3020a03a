#include "kernels/optimizer/optimizer.h"

#include "kernels/arrays/elementwise_map.cuh"
#include "kernels/common/gpu_dtypes.h"
#include "kernels/optimizer/optimizer_check.h"
#include "kernels/optimizer/optimizer_math.h"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

/// The numbers that an update goes by.
struct Update {
  const double* controls;
  optimizer_math::UpdateNumbers<float> numbers{};

  __device__ bool begin() {
    numbers = optimizer_math::UpdateNumbers<float>(controls);
    return !numbers.skipped();
  }
};

struct Sgd : Update {
  Matrix<float> parameters;
  Matrix<const float> grad;
  Matrix<float> buffer;

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

struct AdamW : Update {
  Matrix<float> parameters;
  Matrix<const float> grad;
  Matrix<float> first;
  Matrix<float> second;

  template <int kWidth>
  __device__ void run(int64_t row, int64_t column) const {
    auto values = parameters.template load<kWidth>(row, column);
    auto means = first.template load<kWidth>(row, column);
    auto squares = second.template load<kWidth>(row, column);
    const auto gradients = grad.template load<kWidth>(row, column);
#pragma unroll
    for (int k = 0; k < kWidth; ++k)
      optimizer_math::adamw(values.at[k], means.at[k], squares.at[k], gradients.at[k], numbers);
    store_vector(first.at(row, column), means);
    store_vector(second.at(row, column), squares);
    store_vector(parameters.at(row, column), values);
  }
};

struct Average {
  Matrix<float> average;
  Matrix<const float> values;
  const double* rate;
  float step;

  __device__ bool begin() {
    step = static_cast<float>(*rate);
    return step == step;
  }

  template <int kWidth>
  __device__ void run(int64_t row, int64_t column) const {
    auto averages = average.template load<kWidth>(row, column);
    const auto news = values.template load<kWidth>(row, column);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) averages.at[k] += step * (news.at[k] - averages.at[k]);
    store_vector(average.at(row, column), averages);
  }
};

}  // namespace

void sgd_step(const Tensor& parameters, const Tensor& grad, const Tensor& buffer,
              const Tensor& controls) {
  check_sgd_step(parameters, grad, buffer, controls);
  expect_gpu_stream("sgd_step", parameters.dtype());
  const ProfileScope scope("sgd_step", 5 * parameters.bytes(), 6 * parameters.numel());
  const Sgd body{{controls.data<double>()},
                 Matrix<float>(parameters),
                 Matrix<const float>(grad),
                 Matrix<float>(buffer)};
  map_elements<kVectorWidth<float>>(body, {&parameters, &grad, &buffer});
}

void adamw_step(const Tensor& parameters, const Tensor& grad, const Tensor& first,
                const Tensor& second, const Tensor& controls) {
  check_adamw_step(parameters, grad, first, second, controls);
  expect_gpu_stream("adamw_step", parameters.dtype());
  const ProfileScope scope("adamw_step", 7 * parameters.bytes(), 14 * parameters.numel());
  const AdamW body{{controls.data<double>()},
                   Matrix<float>(parameters),
                   Matrix<const float>(grad),
                   Matrix<float>(first),
                   Matrix<float>(second)};
  map_elements<kVectorWidth<float>>(body, {&parameters, &grad, &first, &second});
}

void average_step(const Tensor& average, const Tensor& values, const Tensor& rate) {
  check_average_step(average, values, rate);
  expect_gpu_stream("average_step", average.dtype());
  const ProfileScope scope("average_step", 3 * average.bytes(), 3 * average.numel());
  const Average body{Matrix<float>(average), Matrix<const float>(values), rate.data<double>(), 0};
  map_elements<kVectorWidth<float>>(body, {&average, &values});
}

}  // namespace pal::cuda
