#pragma once
#include "kernels/common/backend.h"

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

/// Mean and biased variance over all rows of x [.., channels] (f32, f64 or bf16, may be a channel
/// slice). Overwrites mean and variance [channels]. Running sums take at most 2048 rows in the
/// arithmetic type; fixed trees add them, in the end in double.
PAL_KERNEL(void batch_statistics(const Tensor& x, const Tensor& mean, const Tensor& variance))

/// What training makes of a batch: statistics to normalise with and moved running averages.
struct BatchStatistics {
  Tensor mean;          ///< [channels], overwritten
  Tensor inv_std;       ///< [channels], overwritten: 1 / sqrt(biased variance + epsilon)
  Tensor running_mean;  ///< [channels], becomes (1 - momentum) old + momentum batch mean
  Tensor running_var;   ///< the same with the unbiased variance (the biased one of a single row)
  double epsilon = 1e-5;
  double momentum = 0.05;
};

/// batch_statistics, with what follows from them in the same call. All tensors in the dtype of the
/// parameters (f32, or f64 for an f64 x).
PAL_KERNEL(void batch_norm_statistics(const Tensor& x, const BatchStatistics& statistics))

/// batch_norm_statistics of rows that come in parts, first half: adds the sums of x - shift and of
/// its square over the rows of x to sums [2, channels] f64. shift: [channels] of x's dtype, a value
/// not far from the mean (a row), so that nothing cancels.
PAL_KERNEL(void batch_norm_sums(const Tensor& x, const Tensor& shift, const Tensor& sums))

/// Second half: the statistics of `rows` rows from their sums.
PAL_KERNEL(void batch_norm_statistics_of(const Tensor& sums, const Tensor& shift, int64_t rows,
                                         const BatchStatistics& statistics))

/// Overwrites inv_std with 1 / sqrt(variance + epsilon), both [channels] in f32 or f64.
PAL_KERNEL(void inverse_deviation(const Tensor& variance, double epsilon, const Tensor& inv_std))

/// y = relu?(batch norm of x); y dense, of x's dtype or bf16. Overwrites y.
PAL_KERNEL(void batch_norm_forward(const Tensor& x, const BatchNormArgs& args, bool relu,
                                   const Tensor& y))

/// The ReLU's mask is recomputed from x, so y need not be kept. `batch_statistics_used`: gradients
/// flow through mean and variance (training); else they are constants.
PAL_KERNEL(void batch_norm_backward(const Tensor& x, const Tensor& grad_y,
                                    const BatchNormArgs& args, bool relu,
                                    bool batch_statistics_used, const BatchNormGrads& grads))

/// batch_norm_backward of rows that come in parts, first half: adds the sums of what passes the
/// ReLU, g, and of g * (x - mean) to sums [2, channels] f64.
PAL_KERNEL(void batch_norm_backward_sums(const Tensor& x, const Tensor& grad_y,
                                         const BatchNormArgs& args, bool relu, const Tensor& sums))

/// Second half: gradients from the sums over all `rows` rows. grads.x, of the rows given, may be
/// the memory of grad_y. grads.weight and grads.bias are to be given with one part alone.
PAL_KERNEL(void batch_norm_backward_of(const Tensor& x, const Tensor& grad_y,
                                       const BatchNormArgs& args, bool relu,
                                       bool batch_statistics_used, const Tensor& sums, int64_t rows,
                                       const BatchNormGrads& grads))

}  // namespace pal
