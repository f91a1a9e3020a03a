#pragma once
#include "kernels/common/check.h"
#include "kernels/optimizer/optimizer.h"

// What the optimizer kernels of both backends ask of their arguments.
namespace pal {

inline void check_sgd_step(const Tensor& parameters, const Tensor& grad, const Tensor& buffer,
                           const Tensor& controls) {
  const char* op = "sgd_step";
  expect_tensor(op, "gradient", grad, parameters.shape(), parameters.dtype());
  expect_tensor(op, "buffer", buffer, parameters.shape(), parameters.dtype());
  expect_dense(op, "parameters", parameters);
  expect_dense(op, "gradient", grad);
  expect_dense(op, "buffer", buffer);
  expect_tensor(op, "controls", controls, {kSgdControls}, DType::f64);
}

inline void check_sgd_clip(const Tensor& squared_norms, double clip_norm, const Tensor& controls,
                           const Tensor& halted) {
  const char* op = "sgd_clip";
  expect_tensor(op, "squared norms", squared_norms, {2}, DType::f64);
  expect_tensor(op, "controls", controls, {2, kSgdControls}, DType::f64);
  expect_dense(op, "controls", controls);
  expect_tensor(op, "halted", halted, {1}, DType::f64);
  expect(clip_norm >= 0.0, "sgd_clip: expected a norm to clip to of at least 0, got {}", clip_norm);
}

}  // namespace pal
