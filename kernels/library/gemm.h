#pragma once
#include "kernels/common/backend.h"

namespace pal {

/// What kind of matrix product is computed.
struct GemmOp {
  bool transpose_a = false;  ///< op(a) is a^T
  bool transpose_b = false;  ///< op(b) is b^T
  /// Adds to the output instead of overwriting it.
  bool accumulate = false;
  /// Keeps f32 operands in f32 even where TF32 is allowed: what is inverted must be exact.
  bool exact = false;
  /// The product is a gradient, or on the way to one: it may be rounded to TF32 where those may
  /// (CudaMath::tf32_gradients).
  bool gradient = false;
};

/// c[m, n] = op(a)[m, k] op(b)[k, n], overwritten unless op.accumulate. Tensors count as matrices
/// [rows, channels] and may be channel slices (the pitch is the leading dimension). a and b are
/// both f32, bf16 or f64 (f64 in test builds only); c is of their dtype, or f32 for bf16. Sums in
/// float32 at least, whose bits depend on the number of threads only on the CPU for a transposed a (by oneDNN
/// 2.6; later ones may share any long sum). Throws usage when the shapes do not fit, failure with the
/// library's text when a primitive cannot be made.
PAL_KERNEL(void gemm(const Tensor& a, const Tensor& b, const Tensor& c, GemmOp op = {}))

}  // namespace pal
