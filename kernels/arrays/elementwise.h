#pragma once
#include "kernels/common/backend.h"

// Loops over equal-shaped tensors; every argument may be a channel slice. Results in bf16 are
// computed in float and rounded once.
namespace pal {

/// target += source. Dtypes of source and target: equal ones of f32, f64, bf16, or bf16 into f32.
PAL_KERNEL(void add_into(const Tensor& source, const Tensor& target))

/// target += factor * source, in the dtypes of add_into.
PAL_KERNEL(void axpy(double factor, const Tensor& source, const Tensor& target))

/// x *= factor; x in f32, f64 or bf16.
PAL_KERNEL(void scale(const Tensor& x, double factor))

/// target[i] += factor * value[0] for all i: target f64 [n], value f64 [1] (undefined: 1). Adds
/// one log-determinant to that of every sample.
PAL_KERNEL(void add_scalar(const Tensor& target, double factor, const Tensor& value))

/// Overwrites y, which may be x, with max(x, 0); both in one dtype of f32, f64 or bf16. NaN stays
/// NaN.
PAL_KERNEL(void relu_forward(const Tensor& x, const Tensor& y))

/// Overwrites grad_x, which may be grad_y, with grad_y where y > 0, else 0; y is the output of
/// relu_forward. All in one dtype.
PAL_KERNEL(void relu_backward(const Tensor& y, const Tensor& grad_y, const Tensor& grad_x))

/// target = max(target + source, 0), where a residual block ends; both in one dtype of f32, f64 or
/// bf16 (the sum is rounded once). NaN stays NaN. relu_backward gives the gradient of either
/// summand.
PAL_KERNEL(void add_relu(const Tensor& source, const Tensor& target))

/// Overwrites target with source, rounded to the dtype of target (f32, f64 or bf16, in any pair).
PAL_KERNEL(void copy_convert(const Tensor& source, const Tensor& target))

}  // namespace pal
