#pragma once
#include <memory>

#include "kernels/common/backend.h"

namespace pal {

/// A square-kernel 2-D convolution without dilation. Weights are plain [out, kernel, kernel, in].
struct ConvGeometry {
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t padding = 0;

  int64_t out_size(int64_t size) const { return (size + 2 * padding - kernel) / stride + 1; }
  Shape out_shape(const Shape& x, int64_t out_channels) const {
    return {x[0], out_size(x[1]), out_size(x[2]), out_channels};
  }
};

/// Copies of one convolution's weights in the layouts (and the dtype) the library wants, rebuilt
/// when `version` changes. One belongs to each convolution parameter; kernels fill it.
class WeightShadow {
 public:
  /// Bumped by whoever changes the weights (the optimizer, a loader).
  uint64_t version = 1;
  struct Impl;
  std::shared_ptr<Impl> impl;
};

/// y = conv(x, weight) + bias. x [n, h, w, in] dense, y [n, oh, ow, out] dense, both f32, bf16 or
/// f64 (f64 in test builds only); weight [out, k, k, in] and bias [out] (may be undefined) are f32
/// or f64. Overwrites y.
PAL_KERNEL(void conv_forward(const Tensor& x, const Tensor& weight, const Tensor& bias,
                             const ConvGeometry& geometry, WeightShadow& shadow, const Tensor& y))

/// Overwrites grad_x [n, h, w, in] (dense, dtype of grad_y).
PAL_KERNEL(void conv_backward_data(const Tensor& grad_y, const Tensor& weight,
                                   const ConvGeometry& geometry, WeightShadow& shadow,
                                   const Tensor& grad_x))

/// Adds to grad_weight (f32 or f64) and, if defined, to grad_bias.
PAL_KERNEL(void conv_backward_weight(const Tensor& x, const Tensor& grad_y,
                                     const ConvGeometry& geometry, const Tensor& grad_weight,
                                     const Tensor& grad_bias))

/// Convolution and GEMM in double, which no library brings: a test build installs simple ones so
/// that gradients can be checked in double. Without them f64 convolutions throw usage.
struct DoubleReference {
  void (*conv_forward)(const Tensor& x, const Tensor& weight, const Tensor& bias,
                       const ConvGeometry&, const Tensor& y) = nullptr;
  void (*conv_backward_data)(const Tensor& grad_y, const Tensor& weight, const ConvGeometry&,
                             const Tensor& grad_x) = nullptr;
  void (*conv_backward_weight)(const Tensor& x, const Tensor& grad_y, const ConvGeometry&,
                               const Tensor& grad_weight, const Tensor& grad_bias) = nullptr;
  void (*gemm)(const Tensor& a, const Tensor& b, const Tensor& c, bool transpose_a,
               bool transpose_b, bool accumulate) = nullptr;
};
DoubleReference& double_reference();

}  // namespace pal
