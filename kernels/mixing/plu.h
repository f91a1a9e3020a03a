#pragma once
#include <cstdint>
#include <span>
#include <vector>

// The P L U parametrisation of a learned invertible channel mixing out = W in, on the host in
// double. Matrices are row-major n x n.
namespace pal {

/// W = P L U: row i of W is row permutation[i] of L U. L is unit lower triangular (its part below
/// the diagonal is stored), U upper triangular with a diagonal without zeros. Entries of `lower`
/// and `upper` outside their triangles are never read.
struct PluFactors {
  int64_t n = 0;
  std::vector<int32_t> permutation;  ///< [n]
  std::vector<double> lower;         ///< [n, n]
  std::vector<double> upper;         ///< [n, n]
};

/// The factors of an invertible matrix w, by elimination with row pivoting. Throws numerics if w is
/// singular.
PluFactors plu_factors(std::span<const double> w, int64_t n);

/// The matrix W = P L U [n, n] of these factors.
std::vector<double> plu_matrix(const PluFactors& factors);

/// W^-1 [n, n], by substitution. Throws numerics if a diagonal entry of U is zero or not finite.
std::vector<double> plu_inverse(const PluFactors& factors);

/// log|det W| = sum log|U_ii|, in nats. Throws numerics as plu_inverse does.
double plu_log_det(const PluFactors& factors);

/// Adds to grad_lower and grad_upper [n, n] (inside their triangles only) the gradients of a loss
/// with dL/dW = grad_w [n, n] and dL/dlog|det W| = grad_log_det.
void plu_backward(const PluFactors& factors, std::span<const double> grad_w, double grad_log_det,
                  std::span<double> grad_lower, std::span<double> grad_upper);

}  // namespace pal
