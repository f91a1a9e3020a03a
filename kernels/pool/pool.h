#pragma once
#include "kernels/common/backend.h"

namespace pal {

/// The square windows of max pooling; padding never wins.
struct PoolGeometry {
  int64_t kernel = 3;   ///< pixels, along either side
  int64_t stride = 2;   ///< pixels from one window to the next
  int64_t padding = 1;  ///< pixels on all four sides

  /// Height or width of the result for an image of this height or width.
  int64_t out_size(int64_t size) const { return (size + 2 * padding - kernel) / stride + 1; }
};

// Images [n, h, w, c] in f32, f64 or bf16 (sums in float at least); all arguments may be channel
// slices. Throws usage when shapes do not fit or the batch is empty.

/// Overwrites y [n, c] with the mean over the pixels of x [n, h, w, c].
PAL_KERNEL(void average_pool_forward(const Tensor& x, const Tensor& y))

/// Overwrites grad_x [n, h, w, c]: every pixel gets grad_y [n, c] / (h w).
PAL_KERNEL(void average_pool_backward(const Tensor& grad_y, const Tensor& grad_x))

/// Overwrites y [n, oh, ow, c] with the largest value of each window and taps (u8, same shape,
/// dense) with its place in the window, kernel * dy + dx: the first of equal values; NaN wins.
/// kernel at most 15, padding less than kernel.
PAL_KERNEL(void max_pool_forward(const Tensor& x, const PoolGeometry& geometry, const Tensor& y,
                                 const Tensor& taps))

/// Overwrites grad_x [n, h, w, c] with the sum of grad_y over the windows that each pixel won by
/// `taps`, which max_pool_forward wrote.
PAL_KERNEL(void max_pool_backward(const Tensor& grad_y, const Tensor& taps,
                                  const PoolGeometry& geometry, const Tensor& grad_x))

}  // namespace pal
