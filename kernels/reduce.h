#pragma once
#include "kernels/backend.h"

// Sums in double over fixed chunks added in a fixed tree: the same bits for any number of threads.
// Arguments may be channel slices.
namespace pal::cpu {

/// sums[c] += sum over rows of x[row, c] (bias gradients). x in f32, f64 or bf16; sums [channels]
/// in f32 or f64, dense. Throws usage when shapes do not fit.
void channel_sums(const Tensor& x, const Tensor& sums);

/// Sum of squares of all elements (f32, f64 or bf16). Not finite if any element is not finite; f32
/// and bf16 squares cannot overflow in double.
double squared_norm(const Tensor& x);

/// Overwrites norms f64 [n] with half the squared norm of each row of z [n, d].
void half_squared_norm(const Tensor& z, const Tensor& norms);

/// Whether all elements (f32, f64 or bf16) are finite.
bool all_finite(const Tensor& x);

}  // namespace pal::cpu
