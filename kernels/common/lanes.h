#pragma once
#include <cstdint>

#include "kernels/common/backend.h"

namespace pal {

/// Sum of term(i) over [0, count) in double, in 16 interleaved partial sums added in a fixed tree:
/// compilers vectorise it although they may not reorder a plain sum.
template <typename Term>
double lane_sum(int64_t count, Term&& term) {
  constexpr int64_t kLanes = 16;
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  for (int64_t lane = 0; i + lane < count; ++lane) lanes[lane] += term(i + lane);
  for (int64_t step = kLanes / 2; step > 0; step /= 2)
    for (int64_t lane = 0; lane < step; ++lane) lanes[lane] += lanes[lane + step];
  return lanes[0];
}

/// A stored value (f32, f64 or bf16) as a double.
template <typename T>
double widened(T value) {
  return static_cast<double>(static_cast<Compute<T>>(value));
}

}  // namespace pal
