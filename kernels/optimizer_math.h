#pragma once
#include <cmath>

#include "kernels/backend.h"

namespace pal::optimizer_math {

/// One element of momentum SGD: buf = momentum buf + (scale grad + weight_decay p); p -= lr buf.
template <typename Real>
PAL_HD void sgd(Real& parameter, Real& buffer, Real grad, Real rate, Real momentum,
                Real weight_decay, Real grad_scale) {
  buffer = momentum * buffer + (grad_scale * grad + weight_decay * parameter);
  parameter -= rate * buffer;
}

/// min(1, most / (norm + 1e-6)): what clipping to a norm multiplies gradients with. A norm that is
/// not finite gives NaN, so that it cannot pass unseen.
PAL_HD double clip_factor(double norm, double most) {
  if (!(norm - norm == 0.0)) return norm - norm;
  const double factor = most / (norm + 1e-6);
  return factor < 1.0 ? factor : 1.0;
}

}  // namespace pal::optimizer_math
