#pragma once
#include <initializer_list>

#include "kernels/common/check.h"
#include "kernels/optimizer/optimizer.h"

// What the optimizer kernels of both backends ask of their arguments.
namespace pal {

/// Dense tensors that go with the values which an update changes.
inline void check_update(const char* op, const char* what, const Tensor& values,
                         std::initializer_list<std::pair<const char*, const Tensor*>> others) {
  expect_dense(op, what, values);
  for (const auto& [name, tensor] : others) {
    expect_tensor(op, name, *tensor, values.shape(), values.dtype());
    expect_dense(op, name, *tensor);
  }
}

inline void check_sgd_step(const Tensor& parameters, const Tensor& grad, const Tensor& buffer,
                           const Tensor& controls) {
  check_update("sgd_step", "parameters", parameters, {{"gradient", &grad}, {"buffer", &buffer}});
  expect_tensor("sgd_step", "controls", controls, {kUpdateControls}, DType::f64);
}

inline void check_adamw_step(const Tensor& parameters, const Tensor& grad, const Tensor& first,
                             const Tensor& second, const Tensor& controls) {
  check_update("adamw_step", "parameters", parameters,
               {{"gradient", &grad}, {"first moment", &first}, {"second moment", &second}});
  expect_tensor("adamw_step", "controls", controls, {kUpdateControls}, DType::f64);
}

inline void check_average_step(const Tensor& average, const Tensor& values, const Tensor& rate) {
  check_update("average_step", "average", average, {{"values", &values}});
  expect_tensor("average_step", "rate", rate, {1}, DType::f64);
}

}  // namespace pal
