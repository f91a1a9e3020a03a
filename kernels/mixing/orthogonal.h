#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/philox.h"

// Orthogonal matrices for channel mixing out = W in, made of reflections, on the host in double.
// Matrices are row-major n x n.
namespace pal {

/// A random orthogonal matrix from the Haar distribution, a pure function of `random` (Stewart
/// 1980: the Q of the QR decomposition of a Gaussian matrix with a positive diagonal in R, by
/// reflections). Orthogonal to about 1e-14. Costs 4/3 n^3 operations.
std::vector<double> random_orthogonal(int64_t n, const Philox& random);

/// W = W0 H1 H2 ... Hk with Hi = I - 2 v v^T / (v^T v), v row i of `vectors` [k, n]. Throws
/// numerics if a vector is zero or not finite.
std::vector<double> householder_product(std::span<const double> w0, std::span<const double> vectors,
                                        int64_t n);

/// Adds dL/dvectors [k, n] to `grad_vectors`, given dL/dW [n, n] of the W that householder_product
/// returns.
void householder_backward(std::span<const double> w0, std::span<const double> vectors, int64_t n,
                          std::span<const double> grad_w, std::span<double> grad_vectors);

}  // namespace pal
