#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/philox.h"
#include "runtime/tensor.h"

// Permutations as index maps: entry i of the permuted sequence is entry index[i] of the original.
namespace pal {

/// A uniformly random permutation of 0 .. size-1 (Fisher-Yates), a pure function of `random`.
std::vector<int32_t> random_permutation(int64_t size, const Philox& random);

/// The permutation that numpy's legacy generator gives for a seed (layers/models/README.md, 4, head
/// permutation): MT19937 by the plain initialisation, swaps from the end with masked rejection.
std::vector<int32_t> numpy_permutation(int64_t size, uint32_t seed = 0);

/// The inverse of a permutation: inverse[index[i]] = i. Throws data if `index` is none.
std::vector<int32_t> invert_permutation(std::span<const int32_t> index);

/// An index map as an i32 tensor [size] on the CPU (on a meta device: without values), tag
/// parameters.
Tensor index_tensor(std::span<const int32_t> index);

/// The inverse of a permutation held by an i32 tensor, on the same device. Throws data if it is
/// none.
Tensor inverse_index(const Tensor& index);

}  // namespace pal
