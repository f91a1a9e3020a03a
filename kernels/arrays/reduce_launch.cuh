#pragma once
#include "runtime/tensor.h"

namespace pal::cuda {

/// Overwrites sums[row] with factor * the sum of the `parts` values partial[row * parts ...], added
/// in a fixed tree. `partial` f64, `sums` in memory of the GPU.
void sum_parts(const Tensor& partial, int64_t rows, int64_t parts, double factor, double* sums);

}  // namespace pal::cuda
