#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/common/backend.h"
#include "runtime/philox.h"

namespace pal {

/// A uniformly random permutation of 0 .. size-1 (Fisher-Yates), a pure function of `random`.
std::vector<int32_t> random_permutation(int64_t size, const Philox& random);

/// The permutation that numpy's legacy generator gives for a seed (model.md 4, head permutation):
/// MT19937 by the plain initialisation, swaps from the end with masked rejection.
std::vector<int32_t> numpy_permutation(int64_t size, uint32_t seed = 0);

/// inverse[index[i]] = i. Throws data if `index` is not a permutation.
std::vector<int32_t> invert_permutation(std::span<const int32_t> index);

/// y[..., i] = x[..., index[i]]; overwrites y. x and y have equal shapes and dtype (f32, f64 or
/// bf16), may be channel slices and must not overlap; index i32 [channels]. Throws usage when
/// shapes do not fit and data when an index lies outside. The backward pass is the same with the
/// inverse permutation.
PAL_KERNEL(void permute_channels(const Tensor& x, const Tensor& index, const Tensor& y))

}  // namespace pal
