#pragma once
#include "kernels/backend.h"

namespace pal {

struct SgdStep {
  double learning_rate = 0.0;
  double momentum = 0.0;
  double weight_decay = 0.0;
  /// Multiplies the gradient first: the clip factor (optimizer_math::clip_factor).
  double grad_scale = 1.0;
};

namespace cpu {

/// buffer = momentum buffer + (grad_scale grad + weight_decay parameters);
/// parameters -= learning_rate buffer, in one pass. All three dense, of equal shape, in f32 or f64;
/// updates parameters and buffer. Values that are not finite are not looked for: check the norm.
void sgd_step(const Tensor& parameters, const Tensor& grad, const Tensor& buffer,
              const SgdStep& step);

}  // namespace cpu
}  // namespace pal
