#pragma once
#include "kernels/common/backend.h"

// One element of the elementwise kernels, in storage types; bf16 computes in float.
namespace pal::elementwise_math {

/// `value` rounded to the storage type To.
template <typename To, typename From>
PAL_HD To converted(From value) {
  return static_cast<To>(static_cast<Compute<To>>(static_cast<Compute<From>>(value)));
}

/// target + factor source, rounded once.
template <typename To, typename From>
PAL_HD To add_scaled(To target, Compute<To> factor, From source) {
  return static_cast<To>(static_cast<Compute<To>>(target) +
                         factor * static_cast<Compute<To>>(static_cast<Compute<From>>(source)));
}

/// factor value, rounded once.
template <typename T>
PAL_HD T scaled(Compute<T> factor, T value) {
  return static_cast<T>(factor * static_cast<Compute<T>>(value));
}

/// max(x, 0); a NaN stays one.
template <typename T>
PAL_HD T relu(T x) {
  const auto value = static_cast<Compute<T>>(x);
  // Written so that the comparison fails for NaN, which then passes through.
  return static_cast<T>(value < Compute<T>{0} ? Compute<T>{0} : value);
}

/// max(target + source, 0), where the sum is rounded once.
template <typename T>
PAL_HD T relu_of_sum(T target, T source) {
  return relu(add_scaled(target, Compute<T>{1}, source));
}

/// The gradient with respect to x of y = relu(x): grad_y where y is positive, else 0.
template <typename T>
PAL_HD T relu_gradient(T y, T grad_y) {
  return static_cast<T>(static_cast<Compute<T>>(y) > Compute<T>{0} ? static_cast<Compute<T>>(grad_y)
                                                                   : Compute<T>{0});
}

}  // namespace pal::elementwise_math
