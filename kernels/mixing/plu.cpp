#include "kernels/mixing/plu.h"

#include <cmath>
#include <numeric>
#include <utility>

#include "runtime/error.h"
#include "runtime/profiler.h"

namespace pal {
namespace {

size_t at(int64_t i) { return static_cast<size_t>(i); }

void check(const PluFactors& f) {
  expect(f.n >= 1 && f.permutation.size() == at(f.n) && f.lower.size() == at(f.n * f.n) &&
             f.upper.size() == at(f.n * f.n),
         "plu: factors do not fit {} channels", f.n);
}

/// U_ii; throws numerics if it is zero or not finite.
double diagonal(const PluFactors& f, int64_t i) {
  const double value = f.upper[at(i * f.n + i)];
  if (value == 0.0 || !std::isfinite(value))
    fail(ErrorKind::numerics,
         "conv1x1 mixing: diagonal entry {} of U is {}, the matrix cannot be inverted; lower the "
         "learning rate",
         i, value);
  return value;
}

/// target_row += factor * source_row from column `first` on.
void add_row(double factor, const double* source, double* target, int64_t first, int64_t n) {
  for (int64_t j = first; j < n; ++j) target[j] += factor * source[j];
}

}  // namespace

PluFactors plu_factors(std::span<const double> w, int64_t n) {
  expect(n >= 1 && w.size() == at(n * n), "plu_factors: {} values do not fit {} channels", w.size(),
         n);
  PluFactors f;
  f.n = n;
  f.upper.assign(w.begin(), w.end());
  f.lower.assign(at(n * n), 0.0);
  std::vector<int32_t> source(at(n));
  std::iota(source.begin(), source.end(), 0);
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; ++i)
      if (std::abs(f.upper[at(i * n + k)]) > std::abs(f.upper[at(pivot * n + k)])) pivot = i;
    if (pivot != k) {
      std::swap(source[at(k)], source[at(pivot)]);
      for (int64_t j = 0; j < n; ++j) {
        std::swap(f.upper[at(k * n + j)], f.upper[at(pivot * n + j)]);
        std::swap(f.lower[at(k * n + j)], f.lower[at(pivot * n + j)]);
      }
    }
    const double head = diagonal(f, k);
    for (int64_t i = k + 1; i < n; ++i) {
      const double factor = f.upper[at(i * n + k)] / head;
      f.lower[at(i * n + k)] = factor;
      add_row(-factor, f.upper.data() + k * n, f.upper.data() + i * n, k, n);
      f.upper[at(i * n + k)] = 0.0;
    }
  }
  // Row r of L U is row source[r] of W.
  f.permutation.resize(at(n));
  for (int64_t r = 0; r < n; ++r)
    f.permutation[static_cast<size_t>(source[at(r)])] = static_cast<int32_t>(r);
  return f;
}

std::vector<double> plu_matrix(const PluFactors& f) {
  check(f);
  const int64_t n = f.n;
  const ProfileScope scope("plu_matrix", 24 * n * n, 2 * n * n * n / 3, Peak::f32);
  std::vector<double> w(at(n * n));
  for (int64_t i = 0; i < n; ++i) {
    double* row = w.data() + i * n;
    const int64_t r = f.permutation[at(i)];
    for (int64_t k = 0; k < r; ++k)
      add_row(f.lower[at(r * n + k)], f.upper.data() + k * n, row, k, n);
    add_row(1.0, f.upper.data() + r * n, row, r, n);
  }
  return w;
}

std::vector<double> plu_inverse(const PluFactors& f) {
  check(f);
  const int64_t n = f.n;
  const ProfileScope scope("plu_inverse", 24 * n * n, 2 * n * n * n, Peak::f32);
  // L U X = P^T, whose row permutation[i] is unit vector i.
  std::vector<double> x(at(n * n));
  for (int64_t i = 0; i < n; ++i) x[at(f.permutation[at(i)] * n + i)] = 1.0;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < i; ++k)
      add_row(-f.lower[at(i * n + k)], x.data() + k * n, x.data() + i * n, 0, n);
  for (int64_t i = n - 1; i >= 0; --i) {
    for (int64_t k = i + 1; k < n; ++k)
      add_row(-f.upper[at(i * n + k)], x.data() + k * n, x.data() + i * n, 0, n);
    const double head = diagonal(f, i);
    for (int64_t j = 0; j < n; ++j) x[at(i * n + j)] /= head;
  }
  return x;
}

double plu_log_det(const PluFactors& f) {
  check(f);
  double sum = 0.0;
  for (int64_t i = 0; i < f.n; ++i) sum += std::log(std::abs(diagonal(f, i)));
  return sum;
}

void plu_backward(const PluFactors& f, std::span<const double> grad_w, double grad_log_det,
                  std::span<double> grad_lower, std::span<double> grad_upper) {
  check(f);
  const int64_t n = f.n;
  expect(grad_w.size() == at(n * n) && grad_lower.size() == at(n * n) &&
             grad_upper.size() == at(n * n),
         "plu_backward: gradients do not fit {} channels", n);
  const ProfileScope scope("plu_backward", 40 * n * n, 4 * n * n * n / 3, Peak::f32);
  // With M = dL/d(L U) = P^T dL/dW: dL = strictly lower part of M U^T, dU = upper part of L^T M.
  for (int64_t i = 0; i < n; ++i) {
    const int64_t r = f.permutation[at(i)];
    const double* m = grad_w.data() + i * n;
    for (int64_t k = 0; k < r; ++k) {
      double sum = 0.0;
      for (int64_t j = k; j < n; ++j) sum += m[j] * f.upper[at(k * n + j)];
      grad_lower[at(r * n + k)] += sum;
      add_row(f.lower[at(r * n + k)], m, grad_upper.data() + k * n, k, n);
    }
    add_row(1.0, m, grad_upper.data() + r * n, r, n);
  }
  for (int64_t i = 0; i < n; ++i) grad_upper[at(i * n + i)] += grad_log_det / diagonal(f, i);
}

}  // namespace pal
