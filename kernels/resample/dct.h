#pragma once
#include <vector>

#include "kernels/common/backend.h"

namespace pal {

/// DCT pooling Y = A X A^T of each channel's N x N map X (layers/models/README.md, 4). From the
/// unnormalised DCT-II D[k][n] = 2 cos(pi k (2n+1) / (2N)) and the rebalance r,
///   reference    A = sqrt(r / (2(N+1))) D, which is not orthogonal
///   orthonormal  A = D with rows of unit length; r plays no part
struct DctMap {
  enum class Flavour { reference, orthonormal };
  Flavour flavour = Flavour::reference;
  double rebalance = 0.5;
};

/// The matrix A [N, N] for maps of `size` N, row by row. Throws usage unless size >= 1 and
/// rebalance > 0.
std::vector<double> dct_matrix(int64_t size, const DctMap& map);
/// The inverse of A [N, N], row by row. Throws usage as dct_matrix does.
std::vector<double> dct_inverse_matrix(int64_t size, const DctMap& map);

/// The true log|det| per sample, in nats, of DCT pooling of N x N maps: for the reference flavour
///   channels (N^2 ln(r N / (N+1)) + N ln 2),
/// 0 for the orthonormal one.
double dct_log_det(int64_t size, int64_t channels, const DctMap& map);

/// The log|det| per sample, in nats, that the published implementation reports and uses in its
/// losses: channels N^2 ln r, which is not the true value; 0 for the orthonormal flavour.
double dct_reported_log_det(int64_t size, int64_t channels, const DctMap& map);

// x [n, N, N, C] (may be a channel slice), y [n, N N C] (may be a slice) flattened as
// y[(kw N + kh) C + c]: horizontal frequency slowest, channel fastest. f32 (sums in float) or
// f64. Arguments must not overlap. Throws usage when shapes do not fit.

/// Overwrites y with the DCT of x.
PAL_KERNEL(void dct_forward(const Tensor& x, const Tensor& y, const DctMap& map))

/// Overwrites x with the image whose DCT is y.
PAL_KERNEL(void dct_inverse(const Tensor& y, const Tensor& x, const DctMap& map))

/// Overwrites grad_x with A^T grad_y A, the gradient of dct_forward's x.
PAL_KERNEL(void dct_backward(const Tensor& grad_y, const Tensor& grad_x, const DctMap& map))

}  // namespace pal
