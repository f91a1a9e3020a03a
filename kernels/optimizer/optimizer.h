#pragma once
#include "kernels/common/backend.h"

namespace pal {

/// Places of the numbers of one parameter group's update in a tensor f64 [kUpdateControls]. They
/// live in a tensor so that a captured step reads new ones. The last three are set by judge_step
/// (step_guard.h).
enum UpdateControl : int {
  kLearningRate,
  kBeta1,  ///< AdamW's decay of the first moment; SGD's momentum
  kBeta2,  ///< decay of the second moment
  kEpsilon,
  kWeightDecay,
  kGradScale,       ///< multiplies the gradient first; NaN: no update at all
  kCorrection1,     ///< 1 - beta1^t, t counting updates from 1
  kCorrection2,     ///< 1 - beta2^t
  kUpdateControls,  ///< how many there are
};

/// A step of SGD with momentum in one pass:
///   buffer = momentum buffer + (grad_scale grad + weight_decay parameters)
///   parameters -= learning_rate buffer
/// Updates parameters and buffer, unless grad_scale is NaN. Both and grad are dense, of equal
/// shape, in f32 or f64; `controls` f64 [kUpdateControls].
PAL_KERNEL(void sgd_step(const Tensor& parameters, const Tensor& grad, const Tensor& buffer,
                         const Tensor& controls))

/// A step of AdamW (Loshchilov and Hutter 2019, algorithm 2: decoupled weight decay) in one pass,
/// with g = grad_scale grad:
///   parameters *= 1 - learning_rate weight_decay
///   first  += (1 - beta1) (g - first)
///   second  = beta2 second + (1 - beta2) g^2
///   parameters -= learning_rate / correction1 * first / (sqrt(second / correction2) + epsilon)
/// Updates parameters and both moments, unless grad_scale is NaN. All are dense, of equal shape, in
/// f32 or f64; `controls` f64 [kUpdateControls].
PAL_KERNEL(void adamw_step(const Tensor& parameters, const Tensor& grad, const Tensor& first,
                           const Tensor& second, const Tensor& controls))

/// Moves an average towards values: average += rate (values - average), unless the rate is NaN.
/// Both are dense, of equal shape, in f32 or f64; `rate` f64 [1].
PAL_KERNEL(void average_step(const Tensor& average, const Tensor& values, const Tensor& rate))

}  // namespace pal
