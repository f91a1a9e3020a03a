#pragma once
#include <cmath>

#include "kernels/optimizer/tanh_adam.h"

namespace pal::tanh_adam_math {

/// (tanh(v) + 1) / 2 as a logistic function, which keeps its digits near 0.
template <typename Real>
PAL_HD Real image_of(Real v) {
  return Real{1} / (Real{1} + std::exp(Real{-2} * v));
}

/// AdamNumbers in the type of the values.
template <typename Real>
struct StepNumbers {
  Real one_less1, beta2, one_less2, epsilon, root_scale;
  double correction1;

  explicit StepNumbers(const AdamNumbers& numbers)
      : one_less1(static_cast<Real>(1.0 - numbers.beta1)),
        beta2(static_cast<Real>(numbers.beta2)),
        one_less2(static_cast<Real>(1.0 - numbers.beta2)),
        epsilon(static_cast<Real>(numbers.epsilon)),
        root_scale(static_cast<Real>(1.0 / std::sqrt(numbers.correction2))),
        correction1(numbers.correction1) {}
  /// What a sample of this rate multiplies its moments by.
  PAL_HD Real step_size(double rate) const { return static_cast<Real>(rate / correction1); }
};

/// tanh_adam_step on one element; updates v, its moments and x.
template <typename Real>
PAL_HD void step(Real& v, Real& first, Real& second, Real& x, Real grad, Real original,
                 const StepNumbers<Real>& numbers, Real step_size) {
  const Real slope = Real{2} * x * (Real{1} - x);
  const Real g = (grad + Real{2} * (x - original)) * slope;
  first += numbers.one_less1 * (g - first);
  second = numbers.beta2 * second + numbers.one_less2 * g * g;
  const Real root = std::sqrt(second) * numbers.root_scale + numbers.epsilon;
  v -= step_size * (first / root);
  x = image_of(v);
}

}  // namespace pal::tanh_adam_math
