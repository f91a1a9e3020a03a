#pragma once
#include "kernels/library/conv.h"

namespace pal {

/// Convolutions and matrix products in double, which no library brings: a test build installs
/// simple ones so that gradients can be checked in double. Without them f64 operands throw usage.
/// Contracts as in conv.h and gemm.h.
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

/// The one of this process; its members are null where nothing was installed.
inline DoubleReference& double_reference() {
  static DoubleReference instance;
  return instance;
}

}  // namespace pal
