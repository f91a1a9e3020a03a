#pragma once
#include "kernels/common/backend.h"
#include "kernels/library/weight_shadow.h"

namespace pal {

/// A square-kernel 2-D convolution without dilation. Weights are plain [out, kernel, kernel, in].
struct ConvGeometry {
  int64_t kernel = 1;   ///< pixels, along either side
  int64_t stride = 1;   ///< pixels
  int64_t padding = 0;  ///< pixels of zeros on all four sides

  /// Whether it is a product of matrices: pixels [rows, in] by channels.
  bool is_product() const { return kernel == 1 && stride == 1 && padding == 0; }
  /// Height or width of the result for an image of this height or width.
  int64_t out_size(int64_t size) const { return (size + 2 * padding - kernel) / stride + 1; }
  Shape out_shape(const Shape& x, int64_t out_channels) const {
    return {x[0], out_size(x[1]), out_size(x[2]), out_channels};
  }
};

/// Overwrites y with conv(x, weight) + bias. x [n, h, w, in] and y [n, oh, ow, out] are dense, both
/// f32, bf16 or f64 (f64 in test builds only); weight [out, k, k, in] and bias [out] (undefined:
/// none) are f64 for f64, else f32; on a GPU the bias of a product may be in bf16, if x is. `shadow`
/// is that of the weight.
PAL_KERNEL(void conv_forward(const Tensor& x, const Tensor& weight, const Tensor& bias,
                             const ConvGeometry& geometry, WeightShadow& shadow, const Tensor& y))

/// The gradient of conv_forward's x: overwrites grad_x [n, h, w, in] (dense, dtype of grad_y).
PAL_KERNEL(void conv_backward_data(const Tensor& grad_y, const Tensor& weight,
                                   const ConvGeometry& geometry, WeightShadow& shadow,
                                   const Tensor& grad_x))

/// The gradients of conv_forward's parameters: adds to grad_weight (f32 or f64) and, if that is
/// defined, to grad_bias.
PAL_KERNEL(void conv_backward_weight(const Tensor& x, const Tensor& grad_y,
                                     const ConvGeometry& geometry, const Tensor& grad_weight,
                                     const Tensor& grad_bias))

}  // namespace pal
