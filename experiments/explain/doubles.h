#pragma once
#include <cstdint>
#include <vector>

#include "kernels/loss/mixture.h"

namespace pal {

/// The values of a tensor of any floating type on any device, in double.
std::vector<double> to_doubles(const Tensor& t);

/// The class means of a mixture in double, on the host. Low-rank ones are not spelled out.
struct DoubleMeans {
  explicit DoubleMeans(const MixtureMeans& means);

  int64_t classes, rank;           ///< rank 0: full
  int64_t width;                   ///< C, the pooled dimensions; D at full rank
  std::vector<double> mean;        ///< [classes, width] in the order of z
  std::vector<double> alpha;       ///< [classes, rank]
  std::vector<double> prototypes;  ///< [rank, D - C]
};

/// Overwrites out [rows_a, rows_b] with the dot products of the rows of a [rows_a, length] and b
/// [rows_b, length], by the thread that asks. The order of a sum depends on nothing but `length`.
void dot_products(const double* a, int64_t rows_a, const double* b, int64_t rows_b, int64_t length,
                  double* out);

/// a [rows, n] times the symmetric matrix [n, n], row by row: the forms a_i^T matrix a_i.
std::vector<double> quadratic_forms(const std::vector<double>& a, int64_t rows,
                                    const std::vector<double>& matrix, int64_t n);

}  // namespace pal
