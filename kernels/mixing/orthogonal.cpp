#include "kernels/mixing/orthogonal.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/error.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal {
namespace {

size_t at(int64_t i) { return static_cast<size_t>(i); }

double square_of(std::span<const double> v) {
  double sum = 0.0;
  for (const double value : v) sum += value * value;
  return sum;
}

/// Columns that one task carries through all reflections: a panel of 3072 rows stays in the cache.
constexpr int64_t kPanel = 32;

/// The reflections v = x + sign(x_0) |x| e_0 of Gaussian vectors x of falling length, and the signs
/// that the diagonal of R has before the correction.
struct Reflections {
  explicit Reflections(int64_t n) : begin(at(n)), factor(at(n)), sign(at(n)) {}
  std::vector<double> vectors;  // one after another; vector k has n - k entries
  std::vector<int64_t> begin;
  std::vector<double> factor;  // 2 / (v . v)
  std::vector<double> sign;
};

Reflections gaussian_reflections(int64_t n, const Philox& random) {
  Reflections r(n);
  const int64_t total = n * (n + 1) / 2;
  r.vectors.resize(at((total + 3) / 4 * 4));
  parallel_for((total + 3) / 4, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const auto four = random.normal4(static_cast<uint32_t>(block));
      for (int64_t i = 0; i < 4; ++i)
        r.vectors[at(4 * block + i)] = static_cast<double>(four[at(i)]);
    }
  });
  int64_t start = 0;
  for (int64_t k = 0; k < n; ++k) {
    double* v = r.vectors.data() + start;
    const int64_t length = n - k;
    r.begin[at(k)] = start;
    start += length;
    const double lead = std::signbit(v[0]) ? -1.0 : 1.0;
    if (length == 1) {
      // No reflection is left; the last entry of R is x itself.
      r.sign[at(k)] = lead;
      continue;
    }
    const std::span<double> vector(v, at(length));
    v[0] += lead * std::sqrt(square_of(vector));
    const double norm = square_of(vector);
    r.sign[at(k)] = -lead;
    r.factor[at(k)] = norm > 0.0 ? 2.0 / norm : 0.0;
  }
  return r;
}

/// panel -= factor v (v^T panel) over rows [k, n) of a panel of kPanel columns.
void reflect(const double* v, double factor, double* panel, int64_t k, int64_t n) {
  double dot[kPanel] = {};
  for (int64_t row = k; row < n; ++row)
    for (int64_t c = 0; c < kPanel; ++c) dot[c] += v[row - k] * panel[row * kPanel + c];
  for (int64_t c = 0; c < kPanel; ++c) dot[c] *= factor;
  for (int64_t row = k; row < n; ++row)
    for (int64_t c = 0; c < kPanel; ++c) panel[row * kPanel + c] -= v[row - k] * dot[c];
}

/// v . v; throws numerics if it is zero or not finite.
double checked_square(std::span<const double> v) {
  const double square = square_of(v);
  if (!(square > 0.0) || !std::isfinite(square))
    fail(ErrorKind::numerics,
         "householder: a reflection vector has squared length {}; lower the learning rate", square);
  return square;
}

/// w <- w H for the reflection of v.
void reflect_right(std::vector<double>& w, std::span<const double> v, int64_t n) {
  const double factor = 2.0 / checked_square(v);
  for (int64_t i = 0; i < n; ++i) {
    double* row = w.data() + i * n;
    double dot = 0.0;
    for (int64_t j = 0; j < n; ++j) dot += row[j] * v[at(j)];
    for (int64_t j = 0; j < n; ++j) row[j] -= factor * dot * v[at(j)];
  }
}

/// w v.
std::vector<double> times(const std::vector<double>& w, std::span<const double> v, int64_t n) {
  std::vector<double> result(at(n));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) result[at(i)] += w[at(i * n + j)] * v[at(j)];
  return result;
}

/// w^T v.
std::vector<double> transposed_times(const std::vector<double>& w, std::span<const double> v,
                                     int64_t n) {
  std::vector<double> result(at(n));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) result[at(j)] += w[at(i * n + j)] * v[at(i)];
  return result;
}

}  // namespace

std::vector<double> random_orthogonal(int64_t n, const Philox& random) {
  expect(n >= 1 && n <= 65536, "random_orthogonal: expected a size from 1 to 65536, got {}", n);
  const Reflections r = gaussian_reflections(n, random);
  std::vector<double> q(at(n * n));
  parallel_for((n + kPanel - 1) / kPanel, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> panel(at(n * kPanel));
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task * kPanel;
      const int64_t width = std::min(kPanel, n - first);
      std::fill(panel.begin(), panel.end(), 0.0);
      for (int64_t c = 0; c < width; ++c)
        panel[at((first + c) * kPanel + c)] = r.sign[at(first + c)];
      // Q = H_0 H_1 ... H_(n-2) S; reflections that start below the panel's rows leave it alone.
      for (int64_t k = std::min(n - 2, first + width - 1); k >= 0; --k)
        reflect(r.vectors.data() + r.begin[at(k)], r.factor[at(k)], panel.data(), k, n);
      for (int64_t row = 0; row < n; ++row)
        std::copy_n(panel.data() + row * kPanel, width, q.data() + row * n + first);
    }
  });
  return q;
}

std::vector<double> householder_product(std::span<const double> w0, std::span<const double> vectors,
                                        int64_t n) {
  expect(n >= 1 && static_cast<int64_t>(w0.size()) == n * n &&
             static_cast<int64_t>(vectors.size()) % n == 0,
         "householder_product: {} and {} values do not fit {} channels", w0.size(), vectors.size(),
         n);
  std::vector<double> w(w0.begin(), w0.end());
  // In double on the host, as all of this file.
  const auto reflections = static_cast<int64_t>(vectors.size()) / std::max<int64_t>(1, n);
  const ProfileScope scope("householder_product", 16 * n * n, 4 * n * n * reflections, Peak::f32);
  for (size_t start = 0; start < vectors.size(); start += at(n))
    reflect_right(w, vectors.subspan(start, at(n)), n);
  return w;
}

void householder_backward(std::span<const double> w0, std::span<const double> vectors, int64_t n,
                          std::span<const double> grad_w, std::span<double> grad_vectors) {
  std::vector<double> w = householder_product(w0, vectors, n);
  expect(grad_w.size() == w.size() && grad_vectors.size() == vectors.size(),
         "householder_backward: {} and {} gradients do not fit {} channels", grad_w.size(),
         grad_vectors.size(), n);
  const auto reflections = static_cast<int64_t>(vectors.size()) / std::max<int64_t>(1, n);
  const ProfileScope scope("householder_backward", 32 * n * n, 16 * n * n * reflections, Peak::f32);
  std::vector<double> grad(grad_w.begin(), grad_w.end());
  for (size_t end = vectors.size(); end > 0; end -= at(n)) {
    const auto v = vectors.subspan(end - at(n), at(n));
    const double square = checked_square(v);
    // A reflection undoes itself, so this is the product up to the one before.
    reflect_right(w, v, n);
    // M = dL/dH = A^T G; dL/dv = -2 (M + M^T) v / |v|^2 + 4 v (v^T M v) / |v|^4.
    const std::vector<double> mv = transposed_times(w, times(grad, v, n), n);
    const std::vector<double> mtv = transposed_times(grad, times(w, v, n), n);
    const double vmv = std::inner_product(v.begin(), v.end(), mv.begin(), 0.0);
    for (int64_t i = 0; i < n; ++i)
      grad_vectors[end - at(n) + at(i)] +=
          -2.0 * (mv[at(i)] + mtv[at(i)]) / square + 4.0 * v[at(i)] * vmv / (square * square);
    reflect_right(grad, v, n);
  }
}

}  // namespace pal
