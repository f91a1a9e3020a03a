#pragma once
#include "kernels/common/check.h"
#include "kernels/library/gemm.h"

// What both backends check of a matrix product's arguments.
namespace pal {

/// The extents of a product c [m, n] of a matrix [m, k] and a matrix [k, n].
struct GemmShape {
  int64_t m, n, k;
  /// Multiplications and additions.
  int64_t flops() const { return 2 * m * n * k; }
};

/// Throws usage unless shapes and dtypes of a product fit; returns its extents.
inline GemmShape check_gemm(const Tensor& a, const Tensor& b, const Tensor& c, GemmOp op) {
  const GemmShape shape = {op.transpose_a ? a.channels() : a.rows(),
                           op.transpose_b ? b.rows() : b.channels(),
                           op.transpose_a ? a.rows() : a.channels()};
  const int64_t b_depth = op.transpose_b ? b.channels() : b.rows();
  expect(shape.k == b_depth && shape.m == c.rows() && shape.n == c.channels() &&
             shape.m * shape.n * shape.k > 0,
         "gemm: shapes do not fit: {}{} times {}{} into {}", a.shape().str(),
         op.transpose_a ? "^T" : "", b.shape().str(), op.transpose_b ? "^T" : "", c.shape().str());
  const bool floating =
      a.dtype() == DType::f32 || a.dtype() == DType::bf16 || a.dtype() == DType::f64;
  const bool result =
      c.dtype() == a.dtype() || (c.dtype() == DType::f32 && a.dtype() == DType::bf16);
  expect(floating && b.dtype() == a.dtype() && result,
         "gemm: dtypes do not fit: {} times {} into {}", name_of(a.dtype()), name_of(b.dtype()),
         name_of(c.dtype()));
  return shape;
}

}  // namespace pal
