#pragma once
#include "kernels/optimizer/optimizer_check.h"
#include "kernels/optimizer/step_guard.h"

// What the guard's kernels of both backends ask of their arguments.
namespace pal {

inline void check_judge_step(const Tensor& loss, const Tensor& squared_norms, const Tensor& limits,
                             const Tensor& controls, const Tensor& guard) {
  const char* op = "judge_step";
  expect_tensor(op, "loss", loss, {1}, DType::f64);
  expect_tensor(op, "squared norms", squared_norms, {kNormParts}, DType::f64);
  expect_tensor(op, "limits", limits, {kGuardLimits}, DType::f64);
  expect_tensor(op, "controls", controls, {2, kUpdateControls}, DType::f64);
  expect_dense(op, "controls", controls);
  expect_tensor(op, "guard", guard, {kGuardValues}, DType::f64);
}

inline void check_restore(const Tensor& values, const Tensor& kept, const Tensor& guard) {
  const char* op = "restore_unless_taken";
  check_update(op, "values", values, {{"kept values", &kept}});
  expect_tensor(op, "guard", guard, {kGuardValues}, DType::f64);
}

}  // namespace pal
