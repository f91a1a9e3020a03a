#pragma once
#include "kernels/common/backend.h"

// What haar.cpp asks of a backend; it has checked the arguments.
namespace pal {

/// Overwrites `coarse` [n, h/2, w/2, 4c] with `factor` times the Haar sums of `fine` [n, h, w, c].
PAL_KERNEL(void haar_analyse(const Tensor& fine, const Tensor& coarse, double factor))

/// Overwrites `fine` with `factor` times the transposed map of `coarse`.
PAL_KERNEL(void haar_synthesise(const Tensor& coarse, const Tensor& fine, double factor))

}  // namespace pal
