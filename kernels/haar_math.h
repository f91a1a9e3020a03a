#pragma once
#include "kernels/backend.h"

namespace pal::haar_math {

/// The four sums of a 2x2 patch [a b; c d] with the Haar signs, times `factor`: out[0] the average,
/// out[1] horizontal, out[2] vertical, out[3] diagonal difference (model.md 4). The sign matrix is
/// symmetric and its square is 4, so the same function with another factor is the inverse.
template <typename Real>
PAL_HD void butterfly(Real a, Real b, Real c, Real d, Real factor, Real* out) {
  const Real top = a + b;
  const Real top_difference = a - b;
  const Real bottom = c + d;
  const Real bottom_difference = c - d;
  out[0] = factor * (top + bottom);
  out[1] = factor * (top_difference + bottom_difference);
  out[2] = factor * (top - bottom);
  out[3] = factor * (top_difference - bottom_difference);
}

PAL_HD double forward_factor(double rebalance) { return 0.5 * rebalance; }
PAL_HD double inverse_factor(double rebalance) { return 0.5 / rebalance; }

}  // namespace pal::haar_math
