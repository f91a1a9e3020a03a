#pragma once
#include "kernels/common/gpu_math.h"
#include "kernels/common/math.h"

namespace pal {

/// Constants of one affine coupling,
///   log_s = clamp tanh(s_gain s),  v = x exp(log_s) + t_gain t
/// (layers/models/README.md, 1 to 3: gains of 0.1 and 0.1 in slow blocks, 0.2 and 1 in the others).
struct CouplingGains {
  double clamp = 0.7;
  double s_gain = 0.1;
  double t_gain = 0.1;
};

/// The logarithm of an active value's scale, and the tanh that its derivative needs.
template <typename T>
struct SoftClamp {
  T tanh;
  T log_s;
};

/// log_s = clamp tanh(s_gain s); with kSmall for |s_gain s| < kSmallTanh alone, at half the cost.
template <bool kSmall = false, typename T>
PAL_HD SoftClamp<T> soft_clamp(T s, T clamp, T s_gain) {
  const T tanh = kSmall ? small_tanh(s_gain * s) : fast_tanh(s_gain * s);
  return {tanh, clamp * tanh};
}

/// soft_clamp by the GPU's tanh: log_s is off by at most 3e-7 clamp, and for infinite s it is the
/// clamp to within an ulp.
PAL_HD SoftClamp<float> gpu_soft_clamp(float s, float clamp, float s_gain) {
  const float tanh = gpu_math::tanh(s_gain * s);
  return {tanh, clamp * tanh};
}

/// d log_s / d s, from the tanh of soft_clamp.
template <typename T>
PAL_HD T soft_clamp_slope(T tanh, T clamp, T s_gain) {
  return clamp * s_gain * (T{1} - tanh * tanh);
}

/// An active value v = x exp(log_s) + shift, where shift = t_gain t.
template <typename T>
PAL_HD T affine(T x, T exp_log_s, T shift) {
  return x * exp_log_s + shift;
}

/// x of y = x exp(log_s) + shift.
template <typename T>
PAL_HD T affine_inverse(T y, T exp_log_s, T shift) {
  return (y - shift) / exp_log_s;
}

/// x of y = (x exp(log_s) + shift) scale + offset, with one division.
template <typename T>
PAL_HD T scaled_affine_inverse(T y, T exp_log_s, T shift, T scale, T offset) {
  return affine_inverse(y - offset, exp_log_s * scale, shift * scale);
}

/// affine_inverse, given 1 / exp(log_s).
template <typename T>
PAL_HD T affine_inverse_by(T y, T inverse_exp, T shift) {
  return (y - shift) * inverse_exp;
}

/// scaled_affine_inverse, given 1 / exp(log_s) and 1 / scale. The forward pass and this share
/// exp(log_s), so errors of log_s leave no trace in a round trip; those of the two reciprocals do,
/// an ulp each.
template <typename T>
PAL_HD T scaled_affine_inverse_by(T y, T inverse_exp, T shift, T inverse_scale, T offset) {
  return affine_inverse_by(affine_inverse_by(y, inverse_scale, offset), inverse_exp, shift);
}

/// Gradients with respect to the inputs of an active value v = x exp(log_s) + t_gain t.
template <typename T>
struct AffineGrads {
  T x;
  T log_s;
  T s;
  T t;
};

/// Gradients of an active value, given those of v and of the sample's sum of log_s.
template <typename T>
PAL_HD AffineGrads<T> affine_backward(T grad_v, T grad_log_det, T x, T exp_log_s, T tanh, T clamp,
                                      T s_gain, T t_gain) {
  const T grad_x = grad_v * exp_log_s;
  const T grad_log_s = grad_x * x + grad_log_det;
  return {grad_x, grad_log_s, grad_log_s * soft_clamp_slope(tanh, clamp, s_gain), grad_v * t_gain};
}

}  // namespace pal
