#include "kernels/arrays/elementwise.h"
#include "kernels/library/gemm_bias.h"
#include "kernels/product/norm_product_backend.h"

namespace pal::cpu {
namespace {

Tensor normalised(const Tensor& x, const BatchNormArgs& norm, bool relu, DType dtype) {
  const Tensor h = Tensor::empty(x.shape(), dtype, Tag::workspace);
  batch_norm_forward(x, norm, relu, h);
  return h;
}

/// A dense tensor as a matrix.
Tensor matrix(const Tensor& t) { return t.reshape({t.numel() / t.channels(), t.channels()}); }

/// y = a b^T + bias in double, which the library does not do: in test builds only.
void product_in_double(const Tensor& a, const Tensor& b, const Tensor& bias, const Tensor& y) {
  for (int64_t i = 0; i < y.numel(); ++i)
    y.data<double>()[i] = bias.defined() ? bias.data<double>()[i % y.channels()] : 0.0;
  gemm(a, b, y, {.transpose_b = true, .accumulate = true});
}

}  // namespace

void norm_product(const Tensor& x, const BatchNormArgs& norm, bool relu, const Tensor& weight,
                  const Tensor& bias, const Tensor& y, const Tensor& sums) {
  const Tensor h = normalised(x, norm, relu, y.dtype());
  Tensor rounded = matrix(weight);
  if (weight.dtype() != y.dtype()) {
    rounded = Tensor::empty(rounded.shape(), y.dtype(), Tag::workspace);
    copy_convert(matrix(weight), rounded);
  }
  if (y.dtype() == DType::f64)
    product_in_double(matrix(h), rounded, bias, matrix(y));
  else
    gemm_bias(matrix(h), rounded, bias, matrix(y), {.transpose_b = true});
  if (!sums.defined()) return;
  batch_norm_sums(y, Tensor::zeros({y.channels()}, y.dtype(), Tag::workspace), sums);
}

void norm_product_gradient(const Tensor& x, const BatchNormArgs& norm, bool relu,
                           const Tensor& grad_y, const Tensor& grad_weight) {
  const Tensor h = normalised(x, norm, relu, grad_y.dtype());
  gemm(matrix(grad_y), matrix(h), matrix(grad_weight), {.transpose_a = true, .accumulate = true});
}

}  // namespace pal::cpu
