#include "autograd/norm_product.h"

#include "autograd/conv_passes.h"
#include "autograd/norm_statistics.h"
#include "kernels/arrays/reduce.h"
#include "kernels/library/cuda_settings.h"
#include "kernels/product/norm_product.h"

namespace pal {
namespace {

/// Whether a product's results are so few that not moving normalised values saves more than the
/// library would by multiplying faster, with instructions of Hopper's that norm_product has not:
/// multiplications for each element of x and y. An estimate (moving an element of bf16 takes an
/// H200 as long as some 120 of norm_product's multiplications); nothing of it is measured.
bool pays(int64_t in, int64_t out) {
  constexpr int64_t kMostMultiplications = 160;
  return in * out <= kMostMultiplications * (in + out);
}

}  // namespace

bool fuses_norm_product(const Tensor& x, const Conv& conv, DType result) {
  return cuda_math().fused_products && x.device().is_cuda() && result == DType::bf16 &&
         conv.geometry.is_product() && has_norm_product(x, conv.weight->shape[0]) &&
         pays(x.channels(), conv.weight->shape[0]);
}

Variable norm_product(const Variable& x, const Norm& norm, const NormRun& run, const Conv& conv,
                      DType result, const BatchStatistics& measure_result) {
  expect(conv.geometry.is_product(), "norm_product: expected a 1x1 convolution of stride 1, got {}",
         conv.geometry.kernel);
  const DeviceScope device(x.value().device());
  const int64_t out = conv.weight->shape[0];
  const Tensor y = Tensor::empty(x.value().shape().with_last(out), result);
  Tensor sums;
  if (measure_result.mean.defined()) sums = Tensor::zeros({2, out}, DType::f64, Tag::workspace);
  const Tensor weight =
      PAL_BACKEND(y, library_copy(conv.weight->value, conv.weight->shadow, result));
  const Tensor bias = conv.bias != nullptr ? conv.bias->value : Tensor();
  norm_product_forward(x.value(), run.args, norm.relu, weight, bias, y, sums);
  if (sums.defined())
    // Sums relative to zero: a mean so large that they cancel would have drowned the deviations in
    // y's own rounding before.
    measure_norm_of(sums, Tensor::zeros({out}, result, Tag::workspace), y.rows(), measure_result,
                    norm.ranks);
  return record({x}, {y}, true, [=](const Gradients& grads) -> Gradients {
    if (parameter_grads_enabled()) {
      norm_product_weight_gradient(x.value(), run.args, norm.relu, grads[0], conv.weight->grad);
      const Tensor grad_bias = bias_gradient_of(conv, grads[0]);
      if (grad_bias.defined()) PAL_BACKEND(y, channel_sums(grads[0], grad_bias));
    }
    const Tensor grad_h = Tensor::empty(x.value().shape(), result);
    conv_data_pass(grads[0], conv, grad_h);
    // The gradient of x may take the memory of that of the normalised values.
    const Tensor reused = x.value().dtype() == result ? grad_h : Tensor();
    return {batch_norm_gradients(x, grad_h, norm, run.args, run.batch_statistics_used, reused)};
  })[0];
}

}  // namespace pal
