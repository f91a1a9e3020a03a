#pragma once
#include "kernels/common/check.h"

// What the elementwise kernels of both backends ask of their arguments.
namespace pal {

/// For add_into and axpy: bf16 may be added into f32, else the dtypes are equal.
inline void check_axpy(const char* op, const Tensor& source, const Tensor& target) {
  expect_shape(op, "source", source, target.shape());
  if (source.dtype() != DType::bf16 || target.dtype() != DType::f32)
    expect_dtype(op, "source", source, target.dtype());
}

inline void check_add_scalar(const Tensor& target, const Tensor& value) {
  expect_tensor("add_scalar", "target", target, {target.numel()}, DType::f64);
  if (value.defined()) expect_tensor("add_scalar", "value", value, {1}, DType::f64);
}

inline void check_relu_forward(const Tensor& x, const Tensor& y) {
  expect_tensor("relu_forward", "y", y, x.shape(), x.dtype());
}

inline void check_relu_backward(const Tensor& y, const Tensor& grad_y, const Tensor& grad_x) {
  expect_tensor("relu_backward", "grad_y", grad_y, y.shape(), y.dtype());
  expect_tensor("relu_backward", "grad_x", grad_x, y.shape(), y.dtype());
}

inline void check_add_relu(const Tensor& source, const Tensor& target) {
  expect_tensor("add_relu", "source", source, target.shape(), target.dtype());
}

inline void check_copy_convert(const Tensor& source, const Tensor& target) {
  expect_shape("copy_convert", "source", source, target.shape());
}

}  // namespace pal
