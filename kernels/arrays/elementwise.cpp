#include "kernels/arrays/elementwise.h"

#include "kernels/arrays/elementwise_check.h"
#include "kernels/arrays/elementwise_math.h"
#include "kernels/common/runs.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

template <typename From, typename To>
void axpy_typed(double factor, const Tensor& source, const Tensor& target) {
  const From* from = source.data<From>();
  To* to = target.data<To>();
  const auto a = static_cast<Compute<To>>(factor);
  for_each_run(target, source.is_dense() && target.is_dense(),
               [&](int64_t row, int64_t column, int64_t count) {
                 const From* s = from + row * source.pitch() + column;
                 To* t = to + row * target.pitch() + column;
                 for (int64_t i = 0; i < count; ++i)
                   t[i] = elementwise_math::add_scaled(t[i], a, s[i]);
               });
}

void axpy_any(const char* op, double factor, const Tensor& source, const Tensor& target) {
  if (source.dtype() != target.dtype()) return axpy_typed<bfloat16, float>(factor, source, target);
  dispatch_floating(op, target.dtype(), [&](auto typed) {
    using T = decltype(typed);
    axpy_typed<T, T>(factor, source, target);
  });
}

template <typename From, typename To>
void convert_typed(const Tensor& source, const Tensor& target) {
  const From* from = source.data<From>();
  To* to = target.data<To>();
  for_each_run(target, source.is_dense() && target.is_dense(),
               [&](int64_t row, int64_t column, int64_t count) {
                 const From* s = from + row * source.pitch() + column;
                 To* t = to + row * target.pitch() + column;
                 for (int64_t i = 0; i < count; ++i) t[i] = elementwise_math::converted<To>(s[i]);
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
    T* values = x.data<T>();
    const auto a = static_cast<Compute<T>>(factor);
    for_each_run(x, x.is_dense(), [&](int64_t row, int64_t column, int64_t count) {
      T* v = values + row * x.pitch() + column;
      for (int64_t i = 0; i < count; ++i) v[i] = elementwise_math::scaled(a, v[i]);
    });
  });
}

void add_scalar(const Tensor& target, double factor, const Tensor& value) {
  check_add_scalar(target, value);
  const ProfileScope scope("add_scalar", 2 * target.bytes(), target.numel(), Peak::f32);
  const double sum = value.defined() ? factor * value.data<double>()[0] : factor;
  for (int64_t i = 0; i < target.numel(); ++i) target.data<double>()[i] += sum;
}

void relu_forward(const Tensor& x, const Tensor& y) {
  check_relu_forward(x, y);
  const ProfileScope scope("relu_forward", x.bytes() + y.bytes(), x.numel());
  dispatch_floating("relu_forward", x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const T* in = x.data<T>();
    T* out = y.data<T>();
    for_each_run(x, x.is_dense() && y.is_dense(), [&](int64_t row, int64_t column, int64_t count) {
      const T* a = in + row * x.pitch() + column;
      T* b = out + row * y.pitch() + column;
      for (int64_t i = 0; i < count; ++i) b[i] = elementwise_math::relu(a[i]);
    });
  });
}

void relu_backward(const Tensor& y, const Tensor& grad_y, const Tensor& grad_x) {
  check_relu_backward(y, grad_y, grad_x);
  const ProfileScope scope("relu_backward", 3 * y.bytes(), y.numel());
  dispatch_floating("relu_backward", y.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const T* outputs = y.data<T>();
    const T* from = grad_y.data<T>();
    T* to = grad_x.data<T>();
    const bool dense = y.is_dense() && grad_y.is_dense() && grad_x.is_dense();
    for_each_run(y, dense, [&](int64_t row, int64_t column, int64_t count) {
      const T* v = outputs + row * y.pitch() + column;
      const T* g = from + row * grad_y.pitch() + column;
      T* d = to + row * grad_x.pitch() + column;
      for (int64_t i = 0; i < count; ++i) d[i] = elementwise_math::relu_gradient(v[i], g[i]);
    });
  });
}

void add_relu(const Tensor& source, const Tensor& target) {
  check_add_relu(source, target);
  const ProfileScope scope("add_relu", 3 * target.bytes(), target.numel());
  dispatch_floating("add_relu", target.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const T* from = source.data<T>();
    T* to = target.data<T>();
    for_each_run(target, source.is_dense() && target.is_dense(),
                 [&](int64_t row, int64_t column, int64_t count) {
                   const T* s = from + row * source.pitch() + column;
                   T* t = to + row * target.pitch() + column;
                   for (int64_t i = 0; i < count; ++i)
                     t[i] = elementwise_math::relu_of_sum(t[i], s[i]);
                 });
  });
}

void copy_convert(const Tensor& source, const Tensor& target) {
  check_copy_convert(source, target);
  const ProfileScope scope("copy_convert", source.bytes() + target.bytes());
  dispatch_floating("copy_convert", source.dtype(), [&](auto from) {
    dispatch_floating("copy_convert", target.dtype(), [&](auto to) {
      convert_typed<decltype(from), decltype(to)>(source, target);
    });
  });
}

}  // namespace pal::cpu
