#pragma once
#include "kernels/common/backend.h"

namespace pal {

/// Permutes channels: overwrites y[.., i] with x[.., index[i]], index i32 [channels]. x and y have
/// equal shapes and dtypes (f32, f64 or bf16), may be channel slices and must not overlap. Throws
/// usage when shapes do not fit and data when an index lies outside, which a GPU does not look at.
/// The backward pass is the same with the inverse permutation.
PAL_KERNEL(void permute_channels(const Tensor& x, const Tensor& index, const Tensor& y))

}  // namespace pal
