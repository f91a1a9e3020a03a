#pragma once
#include <cmath>
#include <limits>

#include "kernels/optimizer/optimizer.h"

namespace pal::optimizer_math {

/// One parameter group's controls in the type of the parameters.
template <typename Real>
struct SgdNumbers {
  Real rate = 0;
  Real momentum = 0;
  Real weight_decay = 0;
  Real grad_scale = 0;

  SgdNumbers() = default;
  PAL_HD explicit SgdNumbers(const double* controls)
      : rate(static_cast<Real>(controls[kLearningRate])),
        momentum(static_cast<Real>(controls[kMomentum])),
        weight_decay(static_cast<Real>(controls[kWeightDecay])),
        grad_scale(static_cast<Real>(controls[kGradScale])) {}
  /// Whether nothing is to be updated.
  PAL_HD bool halted() const { return grad_scale != grad_scale; }
};

/// sgd_step on one element; updates the parameter and its buffer.
template <typename Real>
PAL_HD void sgd(Real& parameter, Real& buffer, Real grad, const SgdNumbers<Real>& numbers) {
  buffer =
      numbers.momentum * buffer + (numbers.grad_scale * grad + numbers.weight_decay * parameter);
  parameter -= numbers.rate * buffer;
}

/// What clipping to the norm `most` multiplies gradients of this norm with,
///   min(1, most / (norm + 1e-6)).
/// A norm that is not finite gives NaN, so that it cannot pass unseen.
PAL_HD double clip_factor(double norm, double most) {
  if (!(norm - norm == 0.0)) return norm - norm;
  const double factor = most / (norm + 1e-6);
  return factor < 1.0 ? factor : 1.0;
}

/// sgd_clip on the memory of its tensors.
PAL_HD void clip(const double* squared_norms, double clip_norm, double* controls, double* halted) {
  const double network = squared_norms[0];
  const double means = squared_norms[1];
  const bool finite = network - network == 0.0 && means - means == 0.0;
  double* const network_scale = controls + kGradScale;
  double* const means_scale = controls + kSgdControls + kGradScale;
  if (!finite || *halted != 0.0) {
    *halted = 1.0;
    *network_scale = *means_scale = std::numeric_limits<double>::quiet_NaN();
    return;
  }
  *network_scale = clip_norm > 0.0 ? clip_factor(std::sqrt(network), clip_norm) : 1.0;
  *means_scale = 1.0;
}

}  // namespace pal::optimizer_math
