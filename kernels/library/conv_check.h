#pragma once
#include "kernels/common/check.h"
#include "kernels/library/conv.h"

// What both backends check of a convolution's arguments, and its cost.
namespace pal {

/// The arguments of the forward pass or, with gradients in place of x, y, weight or bias, of the
/// backward passes must fit each other.
inline void check_convolution(const char* op, const Tensor& x, const Tensor& weight,
                              const Tensor& bias, const Tensor& y, const ConvGeometry& g) {
  expect(x.rank() == 4 && x.size(0) > 0, "{}: expected x [n, h, w, c] with n > 0, got {}", op,
         x.shape().str());
  expect(weight.rank() == 4 && weight.size(1) == g.kernel && weight.size(2) == g.kernel &&
             weight.channels() == x.channels() && weight.size(0) == y.channels(),
         "{}: weight {} does not fit {} channels in, {} out, kernel {}", op, weight.shape().str(),
         x.channels(), y.channels(), g.kernel);
  expect(y.shape() == g.out_shape(x.shape(), y.channels()), "{}: expected y {}, got {}", op,
         g.out_shape(x.shape(), y.channels()).str(), y.shape().str());
  expect(y.numel() > 0, "{}: {} is smaller than the kernel of {}", op, x.shape().str(), g.kernel);
  expect(x.is_dense() && y.is_dense(), "{}: expected dense tensors", op);
  expect(x.dtype() == y.dtype(), "{}: expected one dtype, got {} and {}", op, name_of(x.dtype()),
         name_of(y.dtype()));
  const DType parameters = x.dtype() == DType::f64 ? DType::f64 : DType::f32;
  expect_dtype(op, "weight", weight, parameters);
  expect_dense(op, "weight", weight);
  if (!bias.defined()) return;
  expect_shape(op, "bias", bias, {y.channels()});
  const bool copied = x.device().is_cuda() && x.dtype() == DType::bf16 && g.is_product();
  if (!copied || bias.dtype() != DType::bf16) expect_dtype(op, "bias", bias, parameters);
}

/// Multiplications and additions of any of the three passes.
inline int64_t convolution_flops(const Tensor& y, const Tensor& weight) {
  return 2 * y.numel() * (weight.numel() / weight.size(0));
}

}  // namespace pal
