#pragma once
#include <cmath>

#include "kernels/common/backend.h"

namespace pal::samples_math {

/// A value as a term takes it.
template <typename Real>
PAL_HD Real taken(Real value, bool sign) {
  if (!sign || value != value) return value;
  return static_cast<Real>((value > Real{0}) - (value < Real{0}));
}

/// A sum with one more term of combine_samples.
template <typename Real>
PAL_HD Real with_term(Real sum, Real factor, Real value, bool sign) {
  return sum + factor * taken(value, sign);
}

/// A value clamped into [low, high]; NaN stays.
template <typename Real>
PAL_HD Real clamped(Real value, Real low, Real high) {
  return value < low ? low : (value > high ? high : value);
}

/// A value clamped into middle +- reach; NaN stays.
template <typename Real>
PAL_HD Real clamped_near(Real value, Real middle, Real reach) {
  return clamped(value, middle - reach, middle + reach);
}

/// left - right, exact for floats of like size.
template <typename Real>
PAL_HD double difference(Real left, Real right) {
  return static_cast<double>(left) - static_cast<double>(right);
}

/// The larger of a maximum and an absolute value; a NaN stays once it is there.
PAL_HD double larger(double maximum, double absolute) {
  return maximum < absolute || absolute != absolute ? absolute : maximum;
}

}  // namespace pal::samples_math
