#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/common/backend.h"
#include "runtime/philox.h"

// Channel mixing matrices (model.md 1), made on the host in double: row-major n x n, out = W in.
namespace pal {

/// The values of a floating tensor on any device, row by row.
std::vector<double> host_values(const Tensor& tensor);

/// A dense tensor of f32 or f64 with these values rounded; tag and device
/// are those of the innermost scopes.
Tensor tensor_of(std::span<const double> values, const Shape& shape, DType dtype = DType::f32);

/// An index map as an i32 tensor on the CPU, tag parameters.
Tensor index_tensor(std::span<const int32_t> index);

/// The inverse of a permutation held by an i32 tensor, on the same device. Throws data if it is
/// none.
Tensor inverse_index(const Tensor& index);

/// A random orthogonal matrix from the Haar distribution, a pure function of `random` (Stewart
/// 1980: the Q of the QR decomposition of a Gaussian matrix with a positive diagonal in R, by
/// reflections). Orthogonal to about 1e-14. Costs 4/3 n^3 operations.
std::vector<double> random_orthogonal(int64_t n, const Philox& random);

/// W = W0 H1 H2 ... Hk with Hi = I - 2 v v^T / (v^T v), v row i of `vectors` [k, n]. Throws
/// numerics if a vector is zero or not finite.
std::vector<double> householder_product(std::span<const double> w0, std::span<const double> vectors,
                                        int64_t n);

/// Adds dL/dvectors [k, n] to `grad_vectors`, given dL/dW [n, n] of the product above.
void householder_backward(std::span<const double> w0, std::span<const double> vectors, int64_t n,
                          std::span<const double> grad_w, std::span<double> grad_vectors);

/// W = P L U: row i of W is row permutation[i] of L U. L is unit lower triangular (its part below
/// the diagonal is stored), U upper triangular with a diagonal without zeros. Entries of `lower`
/// and `upper` outside their triangles are never read.
struct PluFactors {
  int64_t n = 0;
  std::vector<int32_t> permutation;
  std::vector<double> lower;
  std::vector<double> upper;
};

/// Factors of an invertible matrix, by elimination with row pivoting. Throws numerics if singular.
PluFactors plu_factors(std::span<const double> w, int64_t n);

/// P L U.
std::vector<double> plu_matrix(const PluFactors& factors);

/// W^-1, by substitution. Throws numerics if a diagonal entry of U is zero or not finite.
std::vector<double> plu_inverse(const PluFactors& factors);

/// log|det W| = sum log|U_ii|. Throws numerics as plu_inverse does.
double plu_log_det(const PluFactors& factors);

/// Adds to grad_lower and grad_upper [n, n] (inside their triangles only) the gradients of a loss
/// with dL/dW = grad_w [n, n] and dL/dlog|det W| = grad_log_det.
void plu_backward(const PluFactors& factors, std::span<const double> grad_w, double grad_log_det,
                  std::span<double> grad_lower, std::span<double> grad_upper);

}  // namespace pal
