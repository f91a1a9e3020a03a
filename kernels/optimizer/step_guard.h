#pragma once
#include "kernels/optimizer/optimizer.h"

namespace pal {

/// What judge_step makes of a step.
enum class StepVerdict : int {
  taken,       ///< the update is made
  not_finite,  ///< skipped: loss, gradient or statistics are not finite
  outlier,     ///< skipped: the gradient's norm lies too far above its running mean
  halted,      ///< too many steps in a row were not finite before: nothing changes any more
};

/// Places of what a guard bears in mind, a tensor f64 [kGuardValues] on the device.
enum GuardValue : int {
  kVerdict,         ///< of the last step, a StepVerdict
  kNotFiniteInRow,  ///< steps that were not finite, up to the last one
  kOutliersInRow,
  kNotFinite,  ///< how many steps of the run were
  kOutliers,
  kUpdates,  ///< updates that were made
  kPower1,   ///< beta1 to the power of the updates, multiplied up
  kPower2,   ///< beta2 to the power of the updates
  kNorms,    ///< gradient norms in the running mean and variance, at most kNormWindow
  kNormMean,
  kNormVariance,
  kAverageRate,  ///< how far averages of the weights move in this step; NaN: they stay
  kGuardValues,  ///< how many there are
};

/// Places of what decides, a tensor f64 [kGuardLimits].
enum GuardLimit : int {
  kClipNorm,      ///< largest norm of the network's gradient; 0: no limit
  kDeviations,    ///< above the mean norm, that make an outlier; 0: none is
  kBadSteps,      ///< the most steps in a row that may be skipped
  kAverageDecay,  ///< of averages of the weights
  kGuardLimits,   ///< how many there are
};

/// Places of the squared norms that a guard looks at, a tensor f64 [kNormParts].
enum NormPart : int { kNetworkNorm, kMeansNorm, kStatisticsNorm, kNormParts };

/// Gradient norms that the running mean and variance remember, and the fewest that judge.
inline constexpr int kNormWindow = 128;
inline constexpr int kFewestNorms = 32;

/// Judges a step on the device by its loss f64 [1] and by the squared norms f64 [kNormParts] of the
/// network's gradient, the means' gradient and the running statistics. Sets gradient scales and
/// bias corrections in `controls` f64 [2, kUpdateControls] (network, means) and updates `guard` f64
/// [kGuardValues], as `limits` f64 [kGuardLimits] say:
/// - A loss or norm that is not finite: the step is skipped (scales are NaN); after kBadSteps of
///   them in a row the next one halts the guard for good.
/// - A norm more than kDeviations above its running mean: skipped; but after kBadSteps of them in a
///   row the next is taken as a new level, from which the mean begins anew.
/// - Else the network's scale is min(1, clip / (norm + 1e-6)), 1 without a clip; the means' is 1.
/// Averages move by 1 - min(decay, (1 + t) / (10 + t)) in update t, so that they follow the first
/// updates of a run.
PAL_KERNEL(void judge_step(const Tensor& loss, const Tensor& squared_norms, const Tensor& limits,
                           const Tensor& controls, const Tensor& guard))

/// Copies `kept` back into `values` unless the last step was taken. Both are dense, of equal shape,
/// in f32 or f64; `guard` f64 [kGuardValues].
PAL_KERNEL(void restore_unless_taken(const Tensor& values, const Tensor& kept, const Tensor& guard))

}  // namespace pal
