#pragma once
#include "kernels/library/gemm.h"

namespace pal {

/// gemm with a bias: c = op(a) op(b) + bias for all rows (bias f32 [n]; undefined: none). Keeps no
/// profile scope of its own. f32 and bf16.
PAL_KERNEL(void gemm_bias(const Tensor& a, const Tensor& b, const Tensor& bias, const Tensor& c,
                          GemmOp op))

}  // namespace pal
