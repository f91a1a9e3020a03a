#pragma once
#include "autograd/ops.h"
#include "kernels/library/conv_way.h"
#include "kernels/library/weight_copies.h"

// The passes of a convolution of dense x, for the ops that contain one.
namespace pal {

/// The bias of a convolution of x as its kernel reads it; undefined if it has none.
inline Tensor bias_of(const Conv& conv, const Tensor& x) {
  if (conv.bias == nullptr) return {};
  if (!conv.geometry.is_product()) return conv.bias->value;
  return PAL_BACKEND(x, library_copy(conv.bias->value, conv.bias->shadow, x.dtype()));
}

/// On a meta device: allocates what the kernel of a pass would, scratch memory and copies of weights,
/// so that a memory plan counts it; elsewhere nothing.
inline void count_memory(cpu::ConvPass pass, const Tensor& x, const Tensor& y, const Conv& conv) {
  if (!x.device().meta || !x.device().is_cpu()) return;
  const bool has_bias = conv.bias != nullptr && pass != cpu::ConvPass::data;
  const int64_t bytes = cpu::conv_scratch(pass, x, y, has_bias, conv.geometry);
  if (bytes > 0) Tensor::empty({bytes}, DType::u8, Tag::workspace);
  cpu::plan_copies(pass, x, y, has_bias, conv.geometry, conv.weight->value, conv.weight->shadow);
}

/// y = x convolved, plus bias; overwrites y.
inline void conv_pass(const Tensor& x, const Conv& conv, const Tensor& y) {
  count_memory(cpu::ConvPass::forward, x, y, conv);
  PAL_BACKEND(x, conv_forward(x, conv.weight->value, bias_of(conv, x), conv.geometry,
                              conv.weight->shadow, y));
}

/// x convolved, plus bias, in a new tensor of x's dtype.
inline Tensor conv_pass(const Tensor& x, const Conv& conv) {
  const Tensor y =
      Tensor::empty(conv.geometry.out_shape(x.shape(), conv.weight->shape[0]), x.dtype());
  conv_pass(x, conv, y);
  return y;
}

/// Where a convolution's op adds the gradient of the bias; undefined if there is none, or if it is
/// for the caller to add to.
inline Tensor bias_gradient_of(const Conv& conv, const Tensor& grad_y) {
  const bool elsewhere = conv.bias_gradient_elsewhere && grad_y.device().is_cuda();
  return conv.bias != nullptr && !elsewhere ? conv.bias->grad : Tensor();
}

/// Gradients of weight and bias from x and grad_y: added to those of the parameters, unless they
/// are frozen (x may be undefined then).
inline void conv_weight_pass(const Tensor& x, const Tensor& grad_y, const Conv& conv) {
  if (!parameter_grads_enabled()) return;
  count_memory(cpu::ConvPass::weight, x, grad_y, conv);
  PAL_BACKEND(x, conv_backward_weight(x, grad_y, conv.geometry, conv.weight->grad,
                                      bias_gradient_of(conv, grad_y)));
}

/// Gradient of a convolution's input from grad_y; overwrites grad_x.
inline void conv_data_pass(const Tensor& grad_y, const Conv& conv, const Tensor& grad_x) {
  count_memory(cpu::ConvPass::data, grad_x, grad_y, conv);
  PAL_BACKEND(grad_x, conv_backward_data(grad_y, conv.weight->value, conv.geometry,
                                         conv.weight->shadow, grad_x));
}

}  // namespace pal
