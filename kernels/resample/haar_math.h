#pragma once
#include "kernels/common/backend.h"

namespace pal::haar_math {

/// One of the four sums of a 2x2 patch [a b; c d] with the Haar signs, times `factor`: 0 the
/// average, 1 the horizontal, 2 the vertical, 3 the diagonal difference (layers/models/README.md,
/// 4).
template <typename Real>
PAL_HD Real wavelet(Real a, Real b, Real c, Real d, Real factor, int which) {
  const Real top = (which & 1) != 0 ? a - b : a + b;
  const Real bottom = (which & 1) != 0 ? c - d : c + d;
  return factor * ((which & 2) != 0 ? top - bottom : top + bottom);
}

/// All four of them. The sign matrix is symmetric and its square is 4, so the same function with
/// another factor is the inverse.
template <typename Real>
PAL_HD void butterfly(Real a, Real b, Real c, Real d, Real factor, Real* out) {
  out[0] = wavelet(a, b, c, d, factor, 0);
  out[1] = wavelet(a, b, c, d, factor, 1);
  out[2] = wavelet(a, b, c, d, factor, 2);
  out[3] = wavelet(a, b, c, d, factor, 3);
}

PAL_HD double forward_factor(double rebalance) { return 0.5 * rebalance; }
PAL_HD double inverse_factor(double rebalance) { return 0.5 / rebalance; }

}  // namespace pal::haar_math
