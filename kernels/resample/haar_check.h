#pragma once
#include <cmath>

#include "kernels/resample/patch_check.h"

namespace pal {

inline void check_haar(const char* op, const Tensor& fine, const Tensor& coarse, double rebalance) {
  check_patches(op, "transform", fine, coarse);
  if (!(rebalance > 0.0) || !std::isfinite(rebalance))
    fail(ErrorKind::usage, "{}: expected a positive rebalance, got {}", op, rebalance);
}

}  // namespace pal
