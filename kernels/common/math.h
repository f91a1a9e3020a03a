#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/common/backend.h"

namespace pal {

/// exp for the kernels: float is a branch-free polynomial (Cephes expf: within 2 ulp over
/// [-87, 88], clamped outside) that compilers vectorise and that gives the same bits on every
/// backend; double is the library's.
PAL_HD float fast_exp(float x) {
  const float clamped = x < -87.0F ? -87.0F : (x > 88.0F ? 88.0F : x);
  const float n = std::nearbyint(clamped * 1.44269504088896341F);
  // ln 2 in two parts, so that r is exact to the last bit.
  const float r = (clamped - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const int32_t exponent = (static_cast<int32_t>(n) + 127) << 23;
  float power;
  std::memcpy(&power, &exponent, sizeof power);
  return p * power;
}
/// exp in double: the library's.
PAL_HD double fast_exp(double x) { return std::exp(x); }

/// Below this magnitude fast_tanh is small_tanh.
inline constexpr float kSmallTanh = 0.625F;

/// tanh near zero: a polynomial (Cephes tanhf).
PAL_HD float small_tanh(float x) {
  const float z = x * x;
  float p = -5.70498872745e-3F;
  p = p * z + 2.06390887954e-2F;
  p = p * z - 5.37397155531e-2F;
  p = p * z + 1.33314422036e-1F;
  p = p * z - 3.33332819422e-1F;
  return p * z * x + x;
}

/// tanh for the kernels: small_tanh near zero, else 1 - 2 / (exp(2x) + 1).
PAL_HD float fast_tanh(float x) {
  const float magnitude = std::fabs(x);
  const float large = 1.0F - 2.0F / (fast_exp(2.0F * magnitude) + 1.0F);
  return magnitude < kSmallTanh ? small_tanh(x) : std::copysign(large, x);
}

/// tanh in double: the library's.
PAL_HD double fast_tanh(double x) { return std::tanh(x); }
PAL_HD double small_tanh(double x) { return std::tanh(x); }

}  // namespace pal
