#pragma once
#include <cmath>

#include "kernels/common/backend.h"

namespace pal::softmax_math {

/// A term of the sum in log_sum_exp: exp(score - largest), where `largest` is the row's.
template <typename Real>
PAL_HD double shifted_exp(Real score, double largest) {
  return std::exp(static_cast<double>(score) - largest);
}

/// log sum_y exp(scores[y]) of a row, from its largest score and the sum of shifted_exp.
PAL_HD double log_sum_exp(double largest, double sum) { return largest + std::log(sum); }

/// log sum_y exp(scores[y]) of a row [classes], in double, without overflow. NaN if a score is NaN.
template <typename Real>
double log_sum_exp(const Real* scores, int64_t classes) {
  double largest = static_cast<double>(scores[0]);
  for (int64_t y = 1; y < classes; ++y) {
    const auto score = static_cast<double>(scores[y]);
    if (score > largest) largest = score;
  }
  double sum = 0.0;
  for (int64_t y = 0; y < classes; ++y) sum += shifted_exp(scores[y], largest);
  return log_sum_exp(largest, sum);
}

/// The softmax of a score, given the row's log_sum_exp.
template <typename Real>
PAL_HD double probability(Real score, double log_sum) {
  return std::exp(static_cast<double>(score) - log_sum);
}

/// The derivative of weight times a row's cross entropy with respect to a score; target_total is
/// the sum of the row's targets.
PAL_HD double score_gradient(double weight, double probability, double target,
                             double target_total) {
  return weight * (target_total * probability - target);
}

/// Whether class y with its score comes before the label with its own: it scores more, or as much
/// and is the first.
template <typename Real>
PAL_HD bool comes_before(Real score, int64_t y, Real label_score, int64_t label) {
  return score > label_score || (score == label_score && y < label);
}

/// The target of a class under label smoothing: (1 - smoothing) [it is the label] plus
/// smoothing / classes.
PAL_HD double smoothed(bool is_label, double smoothing, int64_t classes) {
  return (is_label ? 1.0 - smoothing : 0.0) + smoothing / static_cast<double>(classes);
}

}  // namespace pal::softmax_math
