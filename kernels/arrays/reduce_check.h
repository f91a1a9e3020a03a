#pragma once
#include "kernels/common/check.h"

// What the reductions of both backends ask of their arguments.
namespace pal {

inline void check_channel_sums(const Tensor& x, const Tensor& sums) {
  expect_shape("channel_sums", "sums", sums, {x.channels()});
  expect(x.numel() > 0, "channel_sums: expected a non-empty tensor, got {}", x.shape().str());
}

inline void check_squared_norm(const Tensor& sum) {
  expect_tensor("squared_norm", "sum", sum, {1}, DType::f64);
}

inline void check_squared_difference(const Tensor& a, const Tensor& b, const Tensor& sums) {
  expect_tensor("squared_difference", "b", b, a.shape(), a.dtype());
  expect_tensor("squared_difference", "sums", sums, {2}, DType::f64);
}

inline void check_half_squared_norm(const Tensor& z, const Tensor& norms) {
  expect_rank("half_squared_norm", "z", z, 2);
  expect_tensor("half_squared_norm", "norms", norms, {z.size(0)}, DType::f64);
}

}  // namespace pal
