#pragma once
#include "kernels/common/backend.h"

namespace pal {

/// Places of the numbers of one parameter group's update in a tensor f64 [kSgdControls]. They live
/// in a tensor so that a captured step reads new ones.
enum SgdControl : int {
  kLearningRate,
  kMomentum,
  kWeightDecay,
  kGradScale,    ///< multiplies the gradient first; NaN: no update at all
  kSgdControls,  ///< how many there are
};

/// A step of SGD with momentum in one pass:
///   buffer = momentum buffer + (grad_scale grad + weight_decay parameters)
///   parameters -= learning_rate buffer
/// Updates parameters and buffer, unless grad_scale is NaN. Both and grad are dense, of equal
/// shape, in f32 or f64; `controls` f64 [kSgdControls].
PAL_KERNEL(void sgd_step(const Tensor& parameters, const Tensor& grad, const Tensor& buffer,
                         const Tensor& controls))

/// Sets the gradient scales in `controls` f64 [2, kSgdControls] (network, means) from the squared
/// norms f64 [2] of the two groups' gradients: clip_factor(norm, clip_norm) for the network (1 if
/// clip_norm is 0), 1 for the means. If a norm is not finite, or halted f64 [1] is not 0 already:
/// sets halted to 1 and both scales to NaN, so that nothing changes any more.
PAL_KERNEL(void sgd_clip(const Tensor& squared_norms, double clip_norm, const Tensor& controls,
                         const Tensor& halted))

}  // namespace pal
