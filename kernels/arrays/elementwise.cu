#include "kernels/arrays/elementwise.h"

#include "kernels/arrays/elementwise_check.h"
#include "kernels/arrays/elementwise_map.cuh"
#include "kernels/arrays/elementwise_math.h"
#include "kernels/common/gpu_dtypes.h"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

/// Elements in a 16-byte access of the wider of two types.
template <typename From, typename To>
inline constexpr int kPairWidth =
    kVectorWidth<From> < kVectorWidth<To> ? kVectorWidth<From> : kVectorWidth<To>;

template <typename From, typename To>
struct Axpy {
  Compute<To> factor;
  Matrix<const From> source;
  Matrix<To> target;

  template <int kWidth>
  __device__ void run(int64_t row, int64_t column) const {
    const auto from = source.template load<kWidth>(row, column);
    auto to = target.template load<kWidth>(row, column);
#pragma unroll
    for (int k = 0; k < kWidth; ++k)
      to.at[k] = elementwise_math::add_scaled(to.at[k], factor, from.at[k]);
    store_vector(target.at(row, column), to);
  }
};

template <typename From, typename To>
struct Convert {
  Matrix<const From> source;
  Matrix<To> target;

  template <int kWidth>
  __device__ void run(int64_t row, int64_t column) const {
    const auto from = source.template load<kWidth>(row, column);
    Vec<To, kWidth> to;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) to.at[k] = elementwise_math::converted<To>(from.at[k]);
    store_vector(target.at(row, column), to);
  }
};

template <typename T>
struct Scale {
  Compute<T> factor;
  Matrix<T> x;

  template <int kWidth>
  __device__ void run(int64_t row, int64_t column) const {
    auto values = x.template load<kWidth>(row, column);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) values.at[k] = elementwise_math::scaled(factor, values.at[k]);
    store_vector(x.at(row, column), values);
  }
};

template <typename T>
struct Relu {
  Matrix<const T> x;
  Matrix<T> y;

  template <int kWidth>
  __device__ void run(int64_t row, int64_t column) const {
    auto values = x.template load<kWidth>(row, column);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) values.at[k] = elementwise_math::relu(values.at[k]);
    store_vector(y.at(row, column), values);
  }
};

template <typename T>
struct AddRelu {
  Matrix<const T> source;
  Matrix<T> target;

  template <int kWidth>
  __device__ void run(int64_t row, int64_t column) const {
    const auto from = source.template load<kWidth>(row, column);
    auto to = target.template load<kWidth>(row, column);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) to.at[k] = elementwise_math::relu_of_sum(to.at[k], from.at[k]);
    store_vector(target.at(row, column), to);
  }
};

template <typename T>
struct ReluGradient {
  Matrix<const T> y;
  Matrix<const T> grad_y;
  Matrix<T> grad_x;

  template <int kWidth>
  __device__ void run(int64_t row, int64_t column) const {
    const auto outputs = y.template load<kWidth>(row, column);
    auto values = grad_y.template load<kWidth>(row, column);
#pragma unroll
    for (int k = 0; k < kWidth; ++k)
      values.at[k] = elementwise_math::relu_gradient(outputs.at[k], values.at[k]);
    store_vector(grad_x.at(row, column), values);
  }
};

__global__ void __launch_bounds__(kThreads)
    add_scalar_kernel(double* target, int64_t count, double factor, const double* value) {
  const double sum = value != nullptr ? factor * value[0] : factor;
  for (int64_t i = global_thread(); i < count; i += global_threads()) target[i] += sum;
}

template <typename From, typename To>
void axpy_typed(double factor, const Tensor& source, const Tensor& target) {
  const Axpy<From, To> body{static_cast<Compute<To>>(factor), Matrix<const From>(source),
                            Matrix<To>(target)};
  map_elements<kPairWidth<From, To>>(body, {&target, &source});
}

void axpy_any(const char* op, double factor, const Tensor& source, const Tensor& target) {
  if (source.dtype() != target.dtype()) return axpy_typed<bfloat16, float>(factor, source, target);
  dispatch_floating(op, target.dtype(), [&](auto typed) {
    using T = decltype(typed);
    axpy_typed<T, T>(factor, source, target);
  });
}

}  // namespace

void add_into(const Tensor& source, const Tensor& target) {
  check_axpy("add_into", source, target);
  const ProfileScope scope("add_into", source.bytes() + 2 * target.bytes(), target.numel());
  axpy_any("add_into", 1.0, source, target);
}

void axpy(double factor, const Tensor& source, const Tensor& target) {
  check_axpy("axpy", source, target);
  const ProfileScope scope("axpy", source.bytes() + 2 * target.bytes(), 2 * target.numel());
  axpy_any("axpy", factor, source, target);
}

void scale(const Tensor& x, double factor) {
  const ProfileScope scope("scale", 2 * x.bytes(), x.numel());
  dispatch_floating("scale", x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    map_elements<kVectorWidth<T>>(Scale<T>{static_cast<Compute<T>>(factor), Matrix<T>(x)}, {&x});
  });
}

void add_scalar(const Tensor& target, double factor, const Tensor& value) {
  check_add_scalar(target, value);
  const ProfileScope scope("add_scalar", 2 * target.bytes(), target.numel(), Peak::f32);
  if (target.numel() == 0) return;
  launch(add_scalar_kernel, grid_for(target.numel(), kThreads), kThreads, 0, stream(),
         target.data<double>(), target.numel(), factor,
         value.defined() ? value.data<double>() : nullptr);
}

void relu_forward(const Tensor& x, const Tensor& y) {
  check_relu_forward(x, y);
  const ProfileScope scope("relu_forward", x.bytes() + y.bytes(), x.numel());
  dispatch_gpu("relu_forward", x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    map_elements<kVectorWidth<T>>(Relu<T>{Matrix<const T>(x), Matrix<T>(y)}, {&x, &y});
  });
}

void relu_backward(const Tensor& y, const Tensor& grad_y, const Tensor& grad_x) {
  check_relu_backward(y, grad_y, grad_x);
  const ProfileScope scope("relu_backward", 3 * y.bytes(), y.numel());
  dispatch_gpu("relu_backward", y.dtype(), [&](auto typed) {
    using T = decltype(typed);
    map_elements<kVectorWidth<T>>(
        ReluGradient<T>{Matrix<const T>(y), Matrix<const T>(grad_y), Matrix<T>(grad_x)},
        {&y, &grad_y, &grad_x});
  });
}

void add_relu(const Tensor& source, const Tensor& target) {
  check_add_relu(source, target);
  const ProfileScope scope("add_relu", 3 * target.bytes(), target.numel());
  dispatch_gpu("add_relu", target.dtype(), [&](auto typed) {
    using T = decltype(typed);
    map_elements<kVectorWidth<T>>(AddRelu<T>{Matrix<const T>(source), Matrix<T>(target)},
                                  {&target, &source});
  });
}

void copy_convert(const Tensor& source, const Tensor& target) {
  check_copy_convert(source, target);
  const ProfileScope scope("copy_convert", source.bytes() + target.bytes());
  dispatch_floating("copy_convert", source.dtype(), [&](auto from) {
    dispatch_floating("copy_convert", target.dtype(), [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      map_elements<kPairWidth<From, To>>(
          Convert<From, To>{Matrix<const From>(source), Matrix<To>(target)}, {&target, &source});
    });
  });
}

}  // namespace pal::cuda
