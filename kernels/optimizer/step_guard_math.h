#pragma once
#include <cmath>
#include <limits>

#include "kernels/optimizer/step_guard.h"

namespace pal::step_guard_math {

PAL_HD bool finite(double value) { return value - value == 0.0; }

/// What clipping to the norm `most` multiplies gradients of this norm with,
///   min(1, most / (norm + 1e-6)); 1 for a `most` of 0.
PAL_HD double clip_factor(double norm, double most) {
  if (!(most > 0.0)) return 1.0;
  const double factor = most / (norm + 1e-6);
  return factor < 1.0 ? factor : 1.0;
}

/// Takes a norm into the running mean and variance: plain ones over the first kNormWindow norms, of
/// weights that fall exponentially afterwards.
PAL_HD void remember(double norm, double* guard) {
  const double count = guard[kNorms] < kNormWindow ? guard[kNorms] + 1.0 : kNormWindow;
  const double rate = 1.0 / count;
  const double difference = norm - guard[kNormMean];
  guard[kNorms] = count;
  guard[kNormMean] += rate * difference;
  guard[kNormVariance] = (1.0 - rate) * (guard[kNormVariance] + rate * difference * difference);
}

/// Whether the norm is to be skipped; remembers it either way, an outlier no larger than what is
/// just none, so that one of them does not hide the next.
PAL_HD bool is_outlier(double norm, const double* limits, double* guard) {
  if (!(limits[kDeviations] > 0.0)) return false;
  const double most = guard[kNormMean] + limits[kDeviations] * std::sqrt(guard[kNormVariance]);
  const bool outlier = guard[kNorms] >= kFewestNorms && norm > most;
  if (outlier && guard[kOutliersInRow] >= limits[kBadSteps]) {
    guard[kNorms] = guard[kNormMean] = guard[kNormVariance] = 0.0;
    remember(norm, guard);
    return false;
  }
  remember(outlier ? most : norm, guard);
  return outlier;
}

PAL_HD StepVerdict verdict(double loss, const double* squared_norms, const double* limits,
                           double* guard) {
  if (guard[kVerdict] == static_cast<double>(StepVerdict::halted)) return StepVerdict::halted;
  bool good = finite(loss);
  for (int i = 0; i < kNormParts; ++i) good = good && finite(squared_norms[i]);
  if (!good) {
    guard[kNotFinite] += 1.0;
    guard[kNotFiniteInRow] += 1.0;
    return guard[kNotFiniteInRow] > limits[kBadSteps] ? StepVerdict::halted
                                                      : StepVerdict::not_finite;
  }
  if (is_outlier(std::sqrt(squared_norms[kNetworkNorm]), limits, guard)) {
    guard[kOutliers] += 1.0;
    guard[kOutliersInRow] += 1.0;
    return StepVerdict::outlier;
  }
  guard[kNotFiniteInRow] = guard[kOutliersInRow] = 0.0;
  return StepVerdict::taken;
}

/// judge_step on the memory of its tensors.
PAL_HD void judge(double loss, const double* squared_norms, const double* limits, double* controls,
                  double* guard) {
  double* const means = controls + kUpdateControls;
  const StepVerdict found = verdict(loss, squared_norms, limits, guard);
  guard[kVerdict] = static_cast<double>(found);
  if (found != StepVerdict::taken) {
    const double none = std::numeric_limits<double>::quiet_NaN();
    controls[kGradScale] = means[kGradScale] = guard[kAverageRate] = none;
    return;
  }
  const double updates = guard[kUpdates] += 1.0;
  // Multiplied up: the same bits on every device, whatever its pow() does.
  guard[kPower1] = (updates > 1.0 ? guard[kPower1] : 1.0) * controls[kBeta1];
  guard[kPower2] = (updates > 1.0 ? guard[kPower2] : 1.0) * controls[kBeta2];
  for (double* const group : {controls, means}) {
    group[kCorrection1] = 1.0 - guard[kPower1];
    group[kCorrection2] = 1.0 - guard[kPower2];
  }
  controls[kGradScale] = clip_factor(std::sqrt(squared_norms[kNetworkNorm]), limits[kClipNorm]);
  means[kGradScale] = 1.0;
  const double young = (1.0 + updates) / (10.0 + updates);
  guard[kAverageRate] = 1.0 - (young < limits[kAverageDecay] ? young : limits[kAverageDecay]);
}

}  // namespace pal::step_guard_math
