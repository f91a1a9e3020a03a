#pragma once
#include "kernels/backend.h"

namespace pal {

/// Per-channel numbers of one batch normalisation, all [channels] in the dtype of the parameters
/// (f32, or f64 in gradient checks): y = (x - mean) * inv_std * weight + bias.
struct BatchNormArgs {
  Tensor mean;
  Tensor inv_std;
  Tensor weight;
  Tensor bias;
};

/// Where the gradients go. x (dtype of the input, may be a slice) is overwritten, or added to with
/// `accumulate_x`; undefined: not wanted. weight and bias are added to.
struct BatchNormGrads {
  Tensor x;
  Tensor weight;
  Tensor bias;
  bool accumulate_x = false;
};

namespace cpu {

/// Mean and biased variance over all rows of x [.., channels] (f32, f64 or bf16, may be a channel
/// slice). Overwrites mean and variance [channels]. Sums of at most 256 rows in the arithmetic
/// type, then a fixed tree in double.
void batch_statistics(const Tensor& x, const Tensor& mean, const Tensor& variance);

/// y = relu?(batch norm of x); y dense, of x's dtype or bf16. Overwrites y.
void batch_norm_forward(const Tensor& x, const BatchNormArgs& args, bool relu, const Tensor& y);

/// The ReLU's mask is recomputed from x, so y need not be kept. `batch_statistics_used`: gradients
/// flow through mean and variance (training); else they are constants.
void batch_norm_backward(const Tensor& x, const Tensor& grad_y, const BatchNormArgs& args,
                         bool relu, bool batch_statistics_used, const BatchNormGrads& grads);

}  // namespace cpu
}  // namespace pal
