#pragma once
#include "kernels/common/backend.h"

// Sums in double over fixed chunks added in a fixed tree: the same bits for any number of threads.
// Arguments may be channel slices.
namespace pal {

/// Adds to sums [channels] (f32 or f64, dense) the sum over rows of x[row, c] (bias gradients). x
/// in f32, f64 or bf16. Throws usage when shapes do not fit.
PAL_KERNEL(void channel_sums(const Tensor& x, const Tensor& sums))

/// Overwrites sum, f64 [1], with the sum of squares of all elements of x (f32, f64 or bf16). It is
/// not finite if any element is not; f32 and bf16 squares cannot overflow in double. 0 for no
/// element.
PAL_KERNEL(void squared_norm(const Tensor& x, const Tensor& sum))

/// Overwrites sums, f64 [2], with the sums of squares of a - b and of a (equal shapes and dtypes,
/// f32 or f64): how far b is from a.
PAL_KERNEL(void squared_difference(const Tensor& a, const Tensor& b, const Tensor& sums))

/// Overwrites norms, f64 [n], with half the squared norm of each row of z [n, d].
PAL_KERNEL(void half_squared_norm(const Tensor& z, const Tensor& norms))

/// Whether all elements of x (f32, f64 or bf16) are finite; waits for the device.
PAL_KERNEL(bool all_finite(const Tensor& x))

}  // namespace pal
