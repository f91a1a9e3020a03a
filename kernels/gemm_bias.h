#pragma once
#include "kernels/gemm.h"

namespace pal::cuda {

/// gemm with a bias: c = op(a) op(b) + bias for all rows (bias f32 [n]; undefined: none). Keeps no
/// profile scope of its own.
void gemm_bias(const Tensor& a, const Tensor& b, const Tensor& bias, const Tensor& c, GemmOp op);

}  // namespace pal::cuda
