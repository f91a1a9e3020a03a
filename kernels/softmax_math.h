#pragma once
#include <cmath>

#include "kernels/backend.h"

namespace pal::softmax_math {

/// log sum_y exp(scores[y]), in double, without overflow. NaN if a score is NaN.
template <typename Real>
PAL_HD double log_sum_exp(const Real* scores, int64_t classes) {
  double largest = static_cast<double>(scores[0]);
  for (int64_t y = 1; y < classes; ++y) {
    const auto score = static_cast<double>(scores[y]);
    if (score > largest) largest = score;
  }
  double sum = 0.0;
  for (int64_t y = 0; y < classes; ++y) sum += std::exp(static_cast<double>(scores[y]) - largest);
  return largest + std::log(sum);
}

/// Target of a class under label smoothing: (1 - smoothing) [it is the label] + smoothing /
/// classes.
PAL_HD double smoothed(bool is_label, double smoothing, int64_t classes) {
  return (is_label ? 1.0 - smoothing : 0.0) + smoothing / static_cast<double>(classes);
}

}  // namespace pal::softmax_math
