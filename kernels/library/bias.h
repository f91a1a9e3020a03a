#pragma once
#include "kernels/common/backend.h"

namespace pal::cuda {

/// y[.., c] += bias[c], for libraries that cannot do it on the way. y is f32 or bf16, maybe a
/// channel slice; bias [channels] in f32 or in the dtype of y.
void add_bias(const Tensor& bias, const Tensor& y);

}  // namespace pal::cuda
