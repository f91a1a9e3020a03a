#pragma once
#include <cmath>
#include <functional>
#include <vector>

#include "tests/support/numeric.h"

namespace pal::testing {

/// log|det| of a row-major n x n matrix, by elimination with row pivoting.
inline double log_abs_det(std::vector<double> m, int64_t n) {
  const auto at = [&](int64_t row, int64_t column) -> double& {
    return m[static_cast<size_t>(row * n + column)];
  };
  double sum = 0.0;
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t row = k + 1; row < n; ++row)
      if (std::abs(at(row, k)) > std::abs(at(pivot, k))) pivot = row;
    for (int64_t column = 0; column < n; ++column) std::swap(at(k, column), at(pivot, column));
    sum += std::log(std::abs(at(k, k)));
    for (int64_t row = k + 1; row < n; ++row) {
      const double factor = at(row, k) / at(k, k);
      for (int64_t column = k; column < n; ++column) at(row, column) -= factor * at(k, column);
    }
  }
  return sum;
}

/// log|det| of the Jacobian of a map of one sample, from central differences with one step of
/// extrapolation (error of fourth order). `map` takes a batch of double inputs shaped like x but
/// for the batch, and treats its samples independently. x has batch 1.
inline double numeric_log_det(const Tensor& x, const std::function<Tensor(const Tensor&)>& map,
                              double step = 1e-3) {
  const int64_t n = x.numel();
  const Shape& s = x.shape();
  const double offsets[] = {step, -step, 2 * step, -2 * step};
  const Tensor batch = s.rank() == 4 ? Tensor::empty({4 * n, s[1], s[2], s[3]}, DType::f64)
                                     : Tensor::empty({4 * n, n}, DType::f64);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < 4; ++k) {
      for (int64_t j = 0; j < n; ++j) set_value(batch, (4 * i + k) * n + j, value_at(x, j));
      set_value(batch, (4 * i + k) * n + i, value_at(x, i) + offsets[k]);
    }
  const Tensor y = map(batch);
  std::vector<double> jacobian(static_cast<size_t>(n * n));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) {
      const auto f = [&](int64_t k) { return value_at(y, (4 * i + k) * n + j); };
      jacobian[static_cast<size_t>(j * n + i)] =
          (8.0 * (f(0) - f(1)) - (f(2) - f(3))) / (12.0 * step);
    }
  return log_abs_det(jacobian, n);
}

}  // namespace pal::testing
