#pragma once
#include "kernels/norm/batch_norm.h"

// What norm_product.cpp asks of a backend; it has checked the arguments.
namespace pal {

/// Overwrites y with h weight^T + bias; adds the sums of y and of its squares to `sums` if defined.
PAL_KERNEL(void norm_product(const Tensor& x, const BatchNormArgs& norm, bool relu,
                             const Tensor& weight, const Tensor& bias, const Tensor& y,
                             const Tensor& sums))

/// Adds grad_y^T h to grad_weight.
PAL_KERNEL(void norm_product_gradient(const Tensor& x, const BatchNormArgs& norm, bool relu,
                                      const Tensor& grad_y, const Tensor& grad_weight))

}  // namespace pal
