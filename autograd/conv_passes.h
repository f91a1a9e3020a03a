#pragma once
#include "autograd/ops.h"
#include "kernels/conv_gemm.h"

// The passes of a convolution of dense x, for the ops that contain one.
namespace pal {

inline Tensor bias_of(const Conv& conv) {
  return conv.bias != nullptr ? conv.bias->value : Tensor();
}

inline void conv_pass(const Tensor& x, const Conv& conv, const Tensor& y) {
  PAL_BACKEND(
      x, conv_forward(x, conv.weight->value, bias_of(conv), conv.geometry, conv.weight->shadow, y));
}

inline Tensor conv_pass(const Tensor& x, const Conv& conv) {
  const Tensor y =
      Tensor::empty(conv.geometry.out_shape(x.shape(), conv.weight->shape[0]), x.dtype());
  conv_pass(x, conv, y);
  return y;
}

/// Adds to the gradients of weight and bias.
inline void conv_weight_pass(const Tensor& x, const Tensor& grad_y, const Conv& conv) {
  // What a plan must know of the kernel.
  if (x.device().meta && x.device().is_cpu())
    Tensor::empty({cpu::conv_weight_scratch(x, grad_y, conv.geometry)}, DType::u8, Tag::workspace);
  PAL_BACKEND(x, conv_backward_weight(x, grad_y, conv.geometry, conv.weight->grad,
                                      conv.bias != nullptr ? conv.bias->grad : Tensor()));
}

/// Overwrites grad_x.
inline void conv_data_pass(const Tensor& grad_y, const Conv& conv, const Tensor& grad_x) {
  PAL_BACKEND(grad_x, conv_backward_data(grad_y, conv.weight->value, conv.geometry,
                                         conv.weight->shadow, grad_x));
}

}  // namespace pal
