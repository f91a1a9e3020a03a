#pragma once
#include "kernels/library/gemm.h"

namespace pal {

/// gemm with a bias, c = op(a) op(b) + bias for all rows, in f32 and bf16 (bias [n] in f32 or, on a
/// GPU, in c's dtype; undefined: none). It opens no profile scope: it is part of the caller's operation.
PAL_KERNEL(void gemm_bias(const Tensor& a, const Tensor& b, const Tensor& bias, const Tensor& c,
                          GemmOp op))

}  // namespace pal
