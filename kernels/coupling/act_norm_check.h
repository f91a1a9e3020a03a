#pragma once
#include "kernels/common/check.h"
#include "kernels/coupling/act_norm.h"

// What the act norm kernels of both backends ask of their arguments.
namespace pal {

inline void check_act_norm(const char* op, const Tensor& x, const Tensor& y, const Tensor& scale,
                           const Tensor& offset) {
  expect(x.defined() && x.rows() > 0, "{}: expected at least one row, got {}", op,
         x.defined() ? x.shape().str() : "nothing");
  expect_tensor(op, "y", y, x.shape(), x.dtype());
  expect_tensor(op, "scale", scale, {x.channels()}, x.dtype());
  expect_tensor(op, "offset", offset, {x.channels()}, x.dtype());
}

inline void check_act_norm_backward(const Tensor& x, const Tensor& grad_y, const Tensor& scale,
                                    const Tensor& grad_x, const Tensor& grad_scale,
                                    const Tensor& grad_offset) {
  const char* op = "act_norm_backward";
  check_act_norm(op, x, grad_y, scale, scale);
  if (grad_x.defined()) expect_tensor(op, "grad_x", grad_x, x.shape(), x.dtype());
  expect_tensor(op, "grad_scale", grad_scale, scale.shape(), DType::f64);
  expect_tensor(op, "grad_offset", grad_offset, scale.shape(), DType::f64);
}

inline void check_act_norm_scale(const Tensor& gamma, const Tensor& scale,
                                 const Tensor& log_scale_sum) {
  expect_rank("act_norm_scale", "gamma", gamma, 1);
  expect_tensor("act_norm_scale", "scale", scale, gamma.shape(), gamma.dtype());
  expect_tensor("act_norm_scale", "log_scale_sum", log_scale_sum, {1}, DType::f64);
}

inline void check_act_norm_scales(const Tensor& values, const Tensor& segments,
                                  const Tensor& scales, const Tensor& log_scale_sums) {
  const char* op = "act_norm_scales";
  expect_rank(op, "values", values, 1);
  expect_rank(op, "log_scale_sums", log_scale_sums, 1);
  expect_dtype(op, "log_scale_sums", log_scale_sums, DType::f64);
  expect_tensor(op, "segments", segments, {log_scale_sums.numel(), 3}, DType::i32);
  expect_rank(op, "scales", scales, 1);
  expect_dtype(op, "scales", scales, values.dtype());
}

inline void check_act_norm_parameters(const Tensor& gamma, const Tensor& grad_scale,
                                      const Tensor& grad_offset, const Tensor& grad_log_det,
                                      const Tensor& grad_gamma,
                                      const Tensor& grad_offset_parameter) {
  const char* op = "act_norm_parameters_backward";
  expect_rank(op, "gamma", gamma, 1);
  expect_rank(op, "grad_log_det", grad_log_det, 1);
  expect_dtype(op, "grad_log_det", grad_log_det, DType::f64);
  expect_tensor(op, "grad_scale", grad_scale, gamma.shape(), DType::f64);
  expect_tensor(op, "grad_offset", grad_offset, gamma.shape(), DType::f64);
  expect_tensor(op, "grad_gamma", grad_gamma, gamma.shape(), gamma.dtype());
  expect_tensor(op, "grad_offset_parameter", grad_offset_parameter, gamma.shape(), gamma.dtype());
}

}  // namespace pal
