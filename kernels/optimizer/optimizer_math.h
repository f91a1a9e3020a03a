#pragma once
#include <cmath>

#include "kernels/optimizer/optimizer.h"

namespace pal::optimizer_math {

/// One parameter group's controls in the type of the parameters.
template <typename Real>
struct UpdateNumbers {
  Real rate = 0;
  Real beta1 = 0;
  Real beta2 = 0;
  Real epsilon = 0;
  Real weight_decay = 0;
  Real grad_scale = 0;
  // Of AdamW: worked out in double, as PyTorch does.
  Real kept = 0;        ///< 1 - rate * weight decay
  Real one_less1 = 0;   ///< 1 - beta1
  Real one_less2 = 0;   ///< 1 - beta2
  Real step_size = 0;   ///< rate / correction1
  Real root_scale = 0;  ///< 1 / sqrt(correction2)

  UpdateNumbers() = default;
  PAL_HD explicit UpdateNumbers(const double* controls)
      : rate(static_cast<Real>(controls[kLearningRate])),
        beta1(static_cast<Real>(controls[kBeta1])),
        beta2(static_cast<Real>(controls[kBeta2])),
        epsilon(static_cast<Real>(controls[kEpsilon])),
        weight_decay(static_cast<Real>(controls[kWeightDecay])),
        grad_scale(static_cast<Real>(controls[kGradScale])),
        kept(static_cast<Real>(1.0 - controls[kLearningRate] * controls[kWeightDecay])),
        one_less1(static_cast<Real>(1.0 - controls[kBeta1])),
        one_less2(static_cast<Real>(1.0 - controls[kBeta2])),
        step_size(static_cast<Real>(controls[kLearningRate] / controls[kCorrection1])),
        root_scale(static_cast<Real>(1.0 / std::sqrt(controls[kCorrection2]))) {}
  /// Whether nothing is to be updated.
  PAL_HD bool skipped() const { return grad_scale != grad_scale; }
};

/// sgd_step on one element; updates the parameter and its buffer.
template <typename Real>
PAL_HD void sgd(Real& parameter, Real& buffer, Real grad, const UpdateNumbers<Real>& numbers) {
  buffer = numbers.beta1 * buffer + (numbers.grad_scale * grad + numbers.weight_decay * parameter);
  parameter -= numbers.rate * buffer;
}

/// adamw_step on one element; updates the parameter and its moments.
template <typename Real>
PAL_HD void adamw(Real& parameter, Real& first, Real& second, Real grad,
                  const UpdateNumbers<Real>& numbers) {
  const Real g = numbers.grad_scale * grad;
  first += numbers.one_less1 * (g - first);
  second = numbers.beta2 * second + numbers.one_less2 * g * g;
  const Real root = std::sqrt(second) * numbers.root_scale + numbers.epsilon;
  parameter = numbers.kept * parameter - numbers.step_size * (first / root);
}

}  // namespace pal::optimizer_math
