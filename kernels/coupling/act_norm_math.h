#pragma once
#include <cmath>
#include <limits>

#include "kernels/common/backend.h"

namespace pal {

/// How act norm's scale follows from its parameter gamma (layers/models/README.md, 1):
///   softplus     0.1 softplus_0.5(gamma), as in the published implementation
///   paper        0.1 softplus_1(gamma)
///   sigmoid      10 sigmoid(gamma - 2)
///   exponential  exp(gamma)
enum class ActNormKind { softplus, paper, sigmoid, exponential };

namespace act_norm_math {

/// A channel's scale and how it changes with gamma.
struct ScaleAndSlope {
  double scale;
  double slope;  ///< d scale / d gamma
};

/// The scale 0.1 softplus_b(gamma), where softplus_b(x) = log(1 + exp(b x)) / b, and its slope.
PAL_HD ScaleAndSlope softplus(double gamma, double b) {
  const double z = b * gamma;
  // log(1 + e^z) without overflow.
  const double soft = (z > 0 ? z + log1p(exp(-z)) : log1p(exp(z))) / b;
  return {0.1 * soft, 0.1 / (1.0 + exp(-z))};
}

/// The scale of a parameter gamma and its slope.
PAL_HD ScaleAndSlope scale_of(double gamma, ActNormKind kind) {
  switch (kind) {
    case ActNormKind::softplus:
      return softplus(gamma, 0.5);
    case ActNormKind::paper:
      return softplus(gamma, 1.0);
    case ActNormKind::sigmoid: {
      const double sigmoid = 1.0 / (1.0 + exp(2.0 - gamma));
      return {10.0 * sigmoid, 10.0 * sigmoid * (1.0 - sigmoid)};
    }
    case ActNormKind::exponential:
      break;
  }
  return {exp(gamma), exp(gamma)};
}

/// The log of a scale that is stored, rounded, as `stored`; not finite if that is not positive or
/// not finite.
PAL_HD double log_scale(double scale, double stored) {
  return log(stored > 0.0 && stored <= std::numeric_limits<double>::max() ? scale : stored);
}

/// The gradient with respect to gamma: `grad_scale` comes by the stream, `grad_log_scale` by the
/// log-determinants.
PAL_HD double gamma_gradient(const ScaleAndSlope& at, double grad_scale, double grad_log_scale) {
  return (grad_scale + grad_log_scale / at.scale) * at.slope;
}

/// y of x.
template <typename Real>
PAL_HD Real forward(Real x, Real scale, Real offset) {
  return x * scale + offset;
}

/// x of y.
template <typename Real>
PAL_HD Real inverse(Real y, Real scale, Real offset) {
  return (y - offset) / scale;
}

}  // namespace act_norm_math
}  // namespace pal
