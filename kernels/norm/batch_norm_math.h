#pragma once
#include <cmath>

#include "kernels/common/backend.h"

// Formulas of batch norm for one channel. `floor` is the least result: 0 with a ReLU, -infinity
// without one.
namespace pal::batch_norm_math {

/// Mean and variance of some values.
struct Moments {
  double mean;
  double variance;  ///< biased
};

/// The moments of `rows` values x from the sums of x - shift and of its squares.
PAL_HD Moments moments(double shift, double sum, double squares, double rows) {
  const double d = sum / rows;
  const double variance = squares / rows - d * d;
  return {shift + d, variance > 0.0 ? variance : 0.0};
}

/// Some values summed up: how many, their mean, and the sum of their squared deviations from it.
struct Part {
  double rows;
  double mean;
  double deviations;
};

/// The part that `rows` values x make, from the sums of x - shift and of its squares.
PAL_HD Part part_of(double shift, double sum, double squares, double rows) {
  const double deviations = squares - sum * (sum / rows);
  return {rows, shift + sum / rows, deviations < 0.0 ? 0.0 : deviations};
}

/// Two parts as one (Chan, Golub and LeVeque 1979, Eq. 2.1): nothing cancels, however far their
/// means lie from zero.
PAL_HD Part combined(const Part& a, const Part& b) {
  const double rows = a.rows + b.rows;
  const double difference = b.mean - a.mean;
  return {rows, a.mean + difference * (b.rows / rows),
          a.deviations + b.deviations + difference * difference * (a.rows / rows) * b.rows};
}

/// All parts of a channel as one, in their order: `parts` [count][2 channels + 1] are vectors of
/// batch_norm_part.
PAL_HD Part combined(const double* parts, int64_t count, int64_t channels, int64_t channel) {
  const auto part = [&](int64_t i) {
    const double* at = parts + i * (2 * channels + 1);
    return Part{at[2 * channels], at[channel], at[channels + channel]};
  };
  Part all = part(0);
  for (int64_t i = 1; i < count; ++i) all = combined(all, part(i));
  return all;
}

/// The moments of a part.
PAL_HD Moments moments(const Part& part) { return {part.mean, part.deviations / part.rows}; }

/// 1 / sqrt(variance + epsilon).
PAL_HD double inverse_deviation(double variance, double epsilon) {
  return 1.0 / sqrt(variance + epsilon);
}

/// The unbiased variance of `rows` values from the biased one, which it is of a single row.
PAL_HD double unbiased(double variance, double rows) {
  return rows > 1.0 ? rows / (rows - 1.0) * variance : variance;
}

/// A running average after a batch whose own value is `batch`.
PAL_HD double moved(double running, double batch, double momentum) {
  return (1.0 - momentum) * running + momentum * batch;
}

/// The normalised value of centred = x - mean, with slope = inv_std weight.
template <typename Real>
PAL_HD Real normalised(Real centred, Real slope, Real bias) {
  return centred * slope + bias;
}

/// max(value, floor); a NaN passes, so that it is seen.
template <typename Real>
PAL_HD Real rectified(Real value, Real floor) {
  return value < floor ? floor : value;
}

/// What of a result's gradient passes the ReLU: all of it or nothing.
template <typename Real>
PAL_HD Real passed(Real grad, Real centred, Real slope, Real bias, Real floor) {
  return normalised(centred, slope, bias) > floor ? grad : Real(0);
}

/// Gradient with respect to x, from what passed the ReLU. Batch statistics bring mean_g, the mean
/// of what passed, and slope_gx = sum(passed * centred) * inv_std^2 / rows; constants zeros.
template <typename Real>
PAL_HD Real input_gradient(Real passed, Real centred, Real slope, Real mean_g, Real slope_gx) {
  return slope * (passed - mean_g - centred * slope_gx);
}

/// The factor slope_gx of input_gradient.
PAL_HD double gradient_slope(double sum_gx, double inv_std, double rows) {
  return sum_gx * inv_std * inv_std / rows;
}

}  // namespace pal::batch_norm_math
