#pragma once
#include <vector>

#include "kernels/common/backend.h"

namespace pal {

/// DCT pooling Y = A X A^T of each channel's N x N map X. `reference`: A = sqrt(r / (2(N+1))) D
/// with the unnormalised DCT-II D[k][n] = 2 cos(pi k (2n+1) / (2N)) and the rebalance r (model.md
/// 4; not orthogonal). `orthonormal`: the rows of D at unit length; r plays no part.
struct DctMap {
  enum class Flavour { reference, orthonormal };
  Flavour flavour = Flavour::reference;
  double rebalance = 0.5;
};

/// A [N, N], row by row, and its inverse. Throw usage unless size >= 1 and rebalance > 0.
std::vector<double> dct_matrix(int64_t size, const DctMap& map);
std::vector<double> dct_inverse_matrix(int64_t size, const DctMap& map);

/// True log|det| per sample in nats of maps of size N x N and `channels` channels: for the
/// reference flavour channels (N^2 ln(r N / (N+1)) + N ln 2), 0 for the orthonormal one.
double dct_log_det(int64_t size, int64_t channels, const DctMap& map);

/// What the published implementation reports and uses in its losses, channels N^2 ln r, which is
/// not the true value; 0 for the orthonormal flavour.
double dct_reported_log_det(int64_t size, int64_t channels, const DctMap& map);

// x [n, N, N, C] (may be a channel slice), y [n, N N C] (may be a slice) flattened as
// y[(kw N + kh) C + c]: horizontal frequency slowest, channel fastest. f32 (sums in float) or
// f64. Arguments must not overlap. Throws usage when shapes do not fit.

/// Overwrites y.
PAL_KERNEL(void dct_forward(const Tensor& x, const Tensor& y, const DctMap& map))

/// Overwrites x.
PAL_KERNEL(void dct_inverse(const Tensor& y, const Tensor& x, const DctMap& map))

/// Overwrites grad_x with A^T grad_y A.
PAL_KERNEL(void dct_backward(const Tensor& grad_y, const Tensor& grad_x, const DctMap& map))

}  // namespace pal
