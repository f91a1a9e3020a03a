#include "kernels/product/norm_product.h"

#include "kernels/common/check.h"
#include "kernels/norm/batch_norm_check.h"
#include "kernels/product/norm_product_backend.h"
#include "runtime/profiler.h"

namespace pal {
namespace {

/// Most input channels: their numbers lie in shared memory beside the tiles.
constexpr int64_t kMostChannels = 1024;

/// The forward pass or, with gradients in place of y and weight, the backward one.
void check(const char* op, const Tensor& x, const BatchNormArgs& norm, const Tensor& weight,
           const Tensor& y) {
  check_batch_norm(op, x, x, norm);
  expect(y.defined() && y.numel() > 0 && y.rows() == x.rows() && y.is_dense(),
         "{}: expected dense y with {} rows, got {}", op, x.rows(), y.shape().str());
  expect(weight.defined() && weight.is_dense() && weight.numel() == y.channels() * x.channels() &&
             weight.channels() == x.channels(),
         "{}: weight {} does not fit {} channels in, {} out", op, weight.shape().str(),
         x.channels(), y.channels());
  if (x.device().is_cpu()) return;
  expect_dtype(op, "y", y, DType::bf16);
  expect(has_norm_product(x, y.channels()), "{}: no kernel for x {} in {} and {} channels out", op,
         x.shape().str(), name_of(x.dtype()), y.channels());
}

}  // namespace

bool has_norm_product(const Tensor& x, int64_t out) {
  if (x.device().is_cpu()) return true;
  const int64_t in = x.channels();
  const bool aligned =
      reinterpret_cast<uintptr_t>(x.raw()) % 16 == 0 && x.pitch() * size_of(x.dtype()) % 16 == 0;
  return (x.dtype() == DType::f32 || x.dtype() == DType::bf16) && aligned && in % 8 == 0 &&
         out % 8 == 0 && in <= kMostChannels;
}

void norm_product_forward(const Tensor& x, const BatchNormArgs& norm, bool relu,
                          const Tensor& weight, const Tensor& bias, const Tensor& y,
                          const Tensor& sums) {
  constexpr const char* kOp = "norm_product_forward";
  check(kOp, x, norm, weight, y);
  if (bias.defined()) expect_shape(kOp, "bias", bias, {y.channels()});
  if (sums.defined()) check_batch_norm_sums(kOp, y, sums);
  if (x.device().meta) return;
  const ProfileScope profile(kOp, x.bytes() + y.bytes() + weight.bytes(),
                             2 * x.numel() * y.channels());
  PAL_BACKEND(x, norm_product(x, norm, relu, weight, bias, y, sums));
}

void norm_product_weight_gradient(const Tensor& x, const BatchNormArgs& norm, bool relu,
                                  const Tensor& grad_y, const Tensor& grad_weight) {
  constexpr const char* kOp = "norm_product_weight_gradient";
  check(kOp, x, norm, grad_weight, grad_y);
  if (x.device().meta) return;
  const ProfileScope profile(kOp, x.bytes() + grad_y.bytes() + grad_weight.bytes(),
                             2 * x.numel() * grad_y.channels());
  PAL_BACKEND(x, norm_product_gradient(x, norm, relu, grad_y, grad_weight));
}

}  // namespace pal
