#pragma once
#include "kernels/library/conv_way.h"

// The passes of a convolution by oneDNN, in f32 and bf16. Tensors and what is overwritten or added to as
// conv.h has them; throws dnnl::error.
namespace pal::cpu {

/// The forward pass or the gradient of x (x and y are then gradients).
void library_pass(ConvPass pass, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const ConvGeometry& g, WeightShadow& shadow, const Tensor& y);
void library_weight_gradient(const Tensor& x, const Tensor& grad_y, const ConvGeometry& g,
                             const Tensor& grad_weight, const Tensor& grad_bias);

/// Bytes that they take for themselves; 0 for what the processor cannot do.
int64_t library_scratch(ConvPass pass, const Tensor& x, const Tensor& y, bool has_bias,
                        const ConvGeometry& g);

/// The weights of a 1x1 convolution as a matrix [out, in] of the given dtype, from their shadow if that
/// is not their own.
Tensor weight_matrix(const Tensor& weight, WeightShadow& shadow, DType dtype);

}  // namespace pal::cpu
