#pragma once
#include "kernels/common/backend.h"

// What the mixture needs beside matrix products, over rows of matrices in the dtype of z.
namespace pal {

/// target[y, :] += factor weights[y] source[y, :]; weights f64 [rows], the others [rows, width].
PAL_KERNEL(void add_weighted_rows(const Tensor& weights, double factor, const Tensor& source,
                                  const Tensor& target))

/// norms[y] += <a[y, :], b[y, :]> / 2; norms f64 [rows], a and b [rows, width].
PAL_KERNEL(void add_half_products(const Tensor& a, const Tensor& b, const Tensor& norms))

/// square[i, j] = square[j, i] for i < first <= j; square [n, n], 0 < first < n.
PAL_KERNEL(void mirror_lower_left(const Tensor& square, int64_t first))

/// scores[:, y] -= norms[y]; scores [n, classes], norms f64 [classes].
PAL_KERNEL(void subtract_norms(const Tensor& norms, const Tensor& scores))

}  // namespace pal
