#pragma once
#include "kernels/common/check.h"
#include "kernels/optimizer/tanh_adam.h"

// What the kernels of both backends ask of their arguments.
namespace pal {

inline void check_tanh_images(const Tensor& v, const Tensor& x) {
  expect_rank("tanh_images", "v", v, 2);
  expect_dense("tanh_images", "v", v);
  expect_tensor("tanh_images", "x", x, v.shape(), v.dtype());
  expect_dense("tanh_images", "x", x);
}

inline void check_tanh_adam_step(const Tensor& v, const Tensor& first, const Tensor& second,
                                 const Tensor& grad, const Tensor& original, const Tensor& rates,
                                 const Tensor& x) {
  const char* op = "tanh_adam_step";
  expect_rank(op, "v", v, 2);
  expect_dense(op, "v", v);
  const std::pair<const char*, const Tensor*> others[] = {{"first moment", &first},
                                                          {"second moment", &second},
                                                          {"gradient", &grad},
                                                          {"original", &original},
                                                          {"x", &x}};
  for (const auto& [name, tensor] : others) {
    expect_tensor(op, name, *tensor, v.shape(), v.dtype());
    expect_dense(op, name, *tensor);
  }
  expect_tensor(op, "rates", rates, {v.size(0)}, DType::f64);
}

}  // namespace pal
