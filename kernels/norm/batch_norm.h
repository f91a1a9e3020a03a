#pragma once
#include "kernels/common/backend.h"

namespace pal {

/// Per-channel numbers of one batch normalisation y = (x - mean) inv_std weight + bias, all
/// [channels] in the dtype of the parameters (f32, or f64 in gradient checks).
struct BatchNormArgs {
  Tensor mean;
  Tensor inv_std;
  Tensor weight;
  Tensor bias;
};

/// Where the gradients of a batch norm go. Undefined ones are not wanted.
struct BatchNormGrads {
  Tensor x;       ///< dtype of the input, may be a slice; overwritten, or added to if accumulate_x
  Tensor weight;  ///< [channels] in the dtype of the parameters, added to
  Tensor bias;    ///< [channels] in the dtype of the parameters, added to
  bool accumulate_x = false;
};

/// Overwrites mean and variance [channels] with the mean and the biased variance over all rows of
/// x [.., channels] (f32, f64 or bf16, may be a channel slice). Running sums take at most 2048 rows
/// in the arithmetic type; fixed trees add them, in the end in double.
PAL_KERNEL(void batch_statistics(const Tensor& x, const Tensor& mean, const Tensor& variance))

/// What training makes of a batch: statistics to normalise with and moved running averages.
struct BatchStatistics {
  Tensor mean;          ///< [channels], overwritten
  Tensor inv_std;       ///< [channels], overwritten: 1 / sqrt(biased variance + epsilon)
  Tensor running_mean;  ///< [channels], becomes (1 - momentum) old + momentum batch mean
  Tensor running_var;   ///< [channels], likewise with the unbiased variance (of one row: biased)
  double epsilon = 1e-5;
  double momentum = 0.05;
};

/// The statistics of all rows of x and what follows from them (see BatchStatistics) in one call.
/// All tensors but x are in the dtype of the parameters (f32, or f64 for an f64 x).
PAL_KERNEL(void batch_norm_statistics(const Tensor& x, const BatchStatistics& statistics))

/// batch_norm_statistics of rows that come in parts, first half: adds the sums of x - shift and of
/// its square over the rows of x to sums [2, channels] f64. shift: [channels] of x's dtype, a value
/// not far from the mean (a row), so that nothing cancels.
PAL_KERNEL(void batch_norm_sums(const Tensor& x, const Tensor& shift, const Tensor& sums))

/// batch_norm_statistics of rows that come in parts, second half: the statistics of all `rows` rows
/// from the sums of batch_norm_sums with the same shift.
PAL_KERNEL(void batch_norm_statistics_of(const Tensor& sums, const Tensor& shift, int64_t rows,
                                         const BatchStatistics& statistics))

/// batch_norm_statistics of rows that several ranks have, first half: overwrites `part`
/// [2 channels + 1] f64 with this rank's means, its sums of squared deviations from them, and its
/// number of rows, from the sums of batch_norm_sums with the same shift. Ranks exchange these
/// vectors.
PAL_KERNEL(void batch_norm_part(const Tensor& sums, const Tensor& shift, int64_t rows,
                                const Tensor& part))

/// batch_norm_statistics of rows that several ranks have, second half: the statistics of all rows
/// from the vectors of batch_norm_part of all ranks, parts [ranks, 2 channels + 1] f64. They are
/// combined in their order, in double (Chan, Golub and LeVeque 1979), so that the same parts give
/// the same bits everywhere; each counts as its rows say.
PAL_KERNEL(void batch_norm_combine(const Tensor& parts, const BatchStatistics& statistics))

/// Overwrites inv_std with 1 / sqrt(variance + epsilon), both [channels] in f32 or f64.
PAL_KERNEL(void inverse_deviation(const Tensor& variance, double epsilon, const Tensor& inv_std))

/// Overwrites y (dense, of x's dtype or bf16), which may be x itself, with the batch norm of x, followed by
/// a ReLU if `relu`.
PAL_KERNEL(void batch_norm_forward(const Tensor& x, const BatchNormArgs& args, bool relu,
                                   const Tensor& y))

/// The gradients of batch_norm_forward, from x and grad_y: the ReLU's mask is recomputed, so y need
/// not be kept. `batch_statistics_used`: gradients flow through mean and variance (training); else
/// they are constants.
PAL_KERNEL(void batch_norm_backward(const Tensor& x, const Tensor& grad_y,
                                    const BatchNormArgs& args, bool relu,
                                    bool batch_statistics_used, const BatchNormGrads& grads))

/// batch_norm_backward of rows that come in parts, first half: adds the sums of what passes the
/// ReLU, g, and of g * (x - mean) to sums [2, channels] f64.
PAL_KERNEL(void batch_norm_backward_sums(const Tensor& x, const Tensor& grad_y,
                                         const BatchNormArgs& args, bool relu, const Tensor& sums))

/// batch_norm_backward of rows that come in parts, second half: gradients of the rows given, from
/// the sums over all `rows` rows. grads.x may be the memory of grad_y. grads.weight and grads.bias
/// are to be given with one part alone.
PAL_KERNEL(void batch_norm_backward_of(const Tensor& x, const Tensor& grad_y,
                                       const BatchNormArgs& args, bool relu,
                                       bool batch_statistics_used, const Tensor& sums, int64_t rows,
                                       const BatchNormGrads& grads))

/// For gradients of x of rows that several ranks have: `totals` [2 channels + 1] f64 holds the sums
/// of batch_norm_backward_sums over all ranks and, last, how many rows they have. Scales the sums to
/// `rows` rows, with which batch_norm_backward_of, given as many, takes means over all ranks.
PAL_KERNEL(void batch_norm_scale_sums(const Tensor& totals, int64_t rows))

}  // namespace pal
