#pragma once
#include <cmath>

#include "kernels/common/backend.h"

// exp, 1 / x and tanh in a few instructions of the GPU's special function units, without branches,
// so that the compiler interleaves neighbouring values. On the host the same formulas, of exact
// functions, with the same flushing of subnormal numbers (tests and the emulator).
//
// The hardware's part of the errors below is that of the PTX instructions, as NVIDIA documents
// them: ex2.approx 2 ulp, rcp.approx 1 ulp. Both pass NaN.
namespace pal::gpu_math {

/// x, or a zero of its sign below the smallest normal number.
inline float flushed(float x) { return std::fabs(x) < 0x1p-126F ? std::copysign(0.0F, x) : x; }

/// 2^x; 0 below 2^-126, infinity from 2^128 on.
PAL_HD float exp2(float x) {
#ifdef __CUDA_ARCH__
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
  return power;
#else
  return flushed(std::exp2(x));
#endif
}

/// 1 / x; 0 for |x| above 2^126, infinity below 2^-126.
PAL_HD float reciprocal(float x) {
#ifdef __CUDA_ARCH__
  float result;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
#else
  return flushed(1.0F / flushed(x));
#endif
}

/// e^x as 2^(x log2 e): within 2 + 1.2 |x| ulp, as rounding the exponent counts |x|-fold; exactly
/// 1 at 0. 0 below -87.3, infinity above 88.7.
PAL_HD float exp(float x) { return exp2(1.44269504F * x); }

/// tanh as (1 - e) / (1 + e) with e = exp(-2 |x|): within 3e-7, absolutely, for all x. Exactly odd,
/// exactly 0 at 0; for large or infinite x 1, give or take the reciprocal's ulp.
PAL_HD float tanh(float x) {
  const float e = exp2(-2.88539008F * std::fabs(x));
  return std::copysign((1.0F - e) * reciprocal(1.0F + e), x);
}

}  // namespace pal::gpu_math
