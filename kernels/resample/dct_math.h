#pragma once
#include <cmath>

#include "kernels/common/backend.h"

namespace pal::dct_math {

/// cos(pi k (2n+1) / (2 size)), the cosine of frequency k at place n.
PAL_HD double cosine(int64_t k, int64_t n, int64_t size) {
  constexpr double kPi = 3.14159265358979323846;
  // The period is 4 size steps; reducing in integers keeps every bit of the angle.
  const int64_t step = k * (2 * n + 1) % (4 * size);
  return std::cos(kPi * static_cast<double>(step) / static_cast<double>(2 * size));
}

/// D[k][n] = 2 cos(pi k (2n+1) / (2 size)): the unnormalised DCT-II (layers/models/README.md, 4).
PAL_HD double forward(int64_t k, int64_t n, int64_t size) { return 2.0 * cosine(k, n, size); }

/// The inverse of D: c_k cos(pi k (2n+1) / (2 size)), c_0 = 1 / (2 size), else 1 / size.
PAL_HD double inverse(int64_t n, int64_t k, int64_t size) {
  return cosine(k, n, size) / static_cast<double>(k == 0 ? 2 * size : size);
}

/// The length of row k of D.
PAL_HD double row_norm(int64_t k, int64_t size) {
  return std::sqrt(static_cast<double>(k == 0 ? 4 * size : 2 * size));
}

}  // namespace pal::dct_math
