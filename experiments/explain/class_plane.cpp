#include "experiments/explain/class_plane.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

/// Eigenvalues and eigenvectors of a symmetric matrix.
struct Eigenpairs {
  std::vector<double> values;
  std::vector<double> vectors;  // [n, n], one a column
};

/// By Jacobi's rotations (Golub and Van Loan, "Matrix Computations", 8.5).
Eigenpairs eigenpairs(std::vector<double> a, size_t n) {
  Eigenpairs pairs{{}, std::vector<double>(n * n)};
  for (size_t i = 0; i < n; ++i) pairs.vectors[i * n + i] = 1.0;
  const auto off_diagonal = [&] {
    double sum = 0.0;
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j)
        if (i != j) sum += a[i * n + j] * a[i * n + j];
    return sum;
  };
  const double whole = std::inner_product(a.begin(), a.end(), a.begin(), 0.0);
  constexpr int kMostSweeps = 60;
  for (int sweep = 0; sweep < kMostSweeps && off_diagonal() > 1e-30 * whole; ++sweep)
    for (size_t p = 0; p < n; ++p)
      for (size_t q = p + 1; q < n; ++q) {
        if (a[p * n + q] == 0.0) continue;
        const double tau = (a[q * n + q] - a[p * n + p]) / (2.0 * a[p * n + q]);
        const double t = std::copysign(1.0, tau) / (std::abs(tau) + std::sqrt(1.0 + tau * tau));
        const double c = 1.0 / std::sqrt(1.0 + t * t), s = c * t;
        const auto rotate = [&](double& x, double& y) {
          const double first = c * x - s * y;
          y = s * x + c * y;
          x = first;
        };
        for (size_t k = 0; k < n; ++k) rotate(a[k * n + p], a[k * n + q]);
        for (size_t k = 0; k < n; ++k) rotate(a[p * n + k], a[q * n + k]);
        for (size_t k = 0; k < n; ++k) rotate(pairs.vectors[k * n + p], pairs.vectors[k * n + q]);
      }
  for (size_t i = 0; i < n; ++i) pairs.values.push_back(a[i * n + i]);
  return pairs;
}

double squared_distance(const PlanePoint& p, const PlanePoint& q) {
  return (p[0] - q[0]) * (p[0] - q[0]) + (p[1] - q[1]) * (p[1] - q[1]);
}

/// Values of t for which a line is wanted, cut down one half-plane at a time.
struct Interval {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();

  /// Keeps where constant + slope t <= 0.
  void cut(double constant, double slope) {
    if (slope > 0.0)
      high = std::min(high, -constant / slope);
    else if (slope < 0.0)
      low = std::max(low, -constant / slope);
    else if (constant > 0.0)
      high = -std::numeric_limits<double>::infinity();
  }
};

/// A straight line, from + t along.
struct Line {
  PlanePoint from, along;

  PlanePoint at(double t) const { return {from[0] + t * along[0], from[1] + t * along[1]}; }
};

/// Adds what is left of a line within the rectangle from `low` to `high`.
void add_piece(std::vector<CellBorder>& borders, const Line& line, Interval kept,
               const PlanePoint& low, const PlanePoint& high) {
  for (size_t k = 0; k < 2; ++k) {
    kept.cut(low[k] - line.from[k], -line.along[k]);
    kept.cut(line.from[k] - high[k], line.along[k]);
  }
  if (kept.low < kept.high) borders.push_back({line.at(kept.low), line.at(kept.high)});
}

}  // namespace

ClassPlane::ClassPlane(const std::vector<double>& means, int64_t classes) {
  expect(classes >= 3, "plane: needs at least 3 classes, got {}", classes);
  const auto n = static_cast<size_t>(classes);
  const size_t dims = means.size() / n;
  expect(dims * n == means.size() && dims >= 2, "plane: {} values of {} means", means.size(),
         classes);
  if (!std::ranges::all_of(means, [](double v) { return std::isfinite(v); }))
    fail(ErrorKind::numerics, "a class mean is not finite; the model has diverged");
  origin_.assign(dims, 0.0);
  for (size_t y = 0; y < n; ++y)
    for (size_t d = 0; d < dims; ++d)
      origin_[d] += means[y * dims + d] / static_cast<double>(classes);
  std::vector<double> centred = means;
  for (size_t y = 0; y < n; ++y)
    for (size_t d = 0; d < dims; ++d) centred[y * dims + d] -= origin_[d];
  std::vector<double> gram(n * n);
  parallel_for(classes, 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
      for (size_t j = 0; j < n; ++j)
        gram[i * n + j] = std::inner_product(&centred[i * dims], &centred[i * dims] + dims,
                                             &centred[j * dims], 0.0);
  });
  const Eigenpairs pairs = eigenpairs(gram, n);
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order,
                           [&](size_t a, size_t b) { return pairs.values[a] > pairs.values[b]; });
  const double sum = std::accumulate(pairs.values.begin(), pairs.values.end(), 0.0);
  expect(pairs.values[order[1]] > 1e-12 * sum, "plane: the class means lie on a line");
  places_.resize(n);
  for (size_t k = 0; k < 2; ++k) {
    const double value = pairs.values[order[k]];
    share_ += value / sum;
    // Of the two directions of an axis, the one in which the first class that stands apart lies.
    double sign = 1.0;
    for (size_t y = 0; y < n; ++y)
      if (std::abs(pairs.vectors[y * n + order[k]]) > 1e-6) {
        sign = std::copysign(1.0, pairs.vectors[y * n + order[k]]);
        break;
      }
    axes_[k].assign(dims, 0.0);
    for (size_t y = 0; y < n; ++y) {
      const double part = sign * pairs.vectors[y * n + order[k]];
      places_[y][k] = std::sqrt(value) * part;
      for (size_t d = 0; d < dims; ++d)
        axes_[k][d] += part / std::sqrt(value) * centred[y * dims + d];
    }
  }
}

std::vector<double> ClassPlane::means() const {
  std::vector<double> means;
  means.reserve(places_.size() * origin_.size());
  for (const PlanePoint& place : places_)
    for (size_t d = 0; d < origin_.size(); ++d)
      means.push_back(origin_[d] + place[0] * axes_[0][d] + place[1] * axes_[1][d]);
  return means;
}

PlanePoint ClassPlane::project(const double* z) const {
  PlanePoint p{0.0, 0.0};
  for (size_t d = 0; d < origin_.size(); ++d)
    for (size_t k = 0; k < 2; ++k) p[k] += (z[d] - origin_[d]) * axes_[k][d];
  return p;
}

int64_t ClassPlane::nearest(const PlanePoint& p) const {
  return std::ranges::min_element(places_, {},
                                  [&](const PlanePoint& q) { return squared_distance(p, q); }) -
         places_.begin();
}

std::vector<CellBorder> cell_borders(const std::vector<PlanePoint>& points, const PlanePoint& low,
                                     const PlanePoint& high) {
  std::vector<CellBorder> borders;
  for (size_t i = 0; i < points.size(); ++i)
    for (size_t j = i + 1; j < points.size(); ++j) {
      const PlanePoint &a = points[i], &b = points[j];
      // Where both are equally near.
      const Line line{{0.5 * (a[0] + b[0]), 0.5 * (a[1] + b[1])}, {a[1] - b[1], b[0] - a[0]}};
      if (line.along[0] == 0.0 && line.along[1] == 0.0) continue;
      Interval kept;
      for (size_t k = 0; k < points.size(); ++k) {
        if (k == i || k == j) continue;
        // ||p - a||^2 - ||p - c||^2 is linear in p.
        const PlanePoint& c = points[k];
        kept.cut(squared_distance(line.from, a) - squared_distance(line.from, c),
                 2.0 * (line.along[0] * (c[0] - a[0]) + line.along[1] * (c[1] - a[1])));
      }
      add_piece(borders, line, kept, low, high);
    }
  return borders;
}

std::vector<CellBorder> margin_borders(const std::vector<PlanePoint>& points, int64_t target,
                                       double margin, const PlanePoint& low,
                                       const PlanePoint& high) {
  std::vector<CellBorder> borders;
  const auto nearest = static_cast<size_t>(target);
  const PlanePoint& t = points.at(nearest);
  // What the margin over c lacks at p is linear in p.
  const auto lacks = [&](const PlanePoint& c, const PlanePoint& p) {
    return margin - 0.5 * (squared_distance(p, c) - squared_distance(p, t));
  };
  for (size_t j = 0; j < points.size(); ++j) {
    const PlanePoint towards{t[0] - points[j][0], t[1] - points[j][1]};
    const double squared = towards[0] * towards[0] + towards[1] * towards[1];
    if (j == nearest || squared == 0.0) continue;
    // The line at which the margin over this point is met.
    Line line{{}, {-towards[1], towards[0]}};
    for (size_t k = 0; k < 2; ++k)
      line.from[k] = 0.5 * (t[k] + points[j][k]) + margin / squared * towards[k];
    Interval kept;
    for (size_t k = 0; k < points.size(); ++k) {
      if (k == j || k == nearest) continue;
      const PlanePoint& c = points[k];
      kept.cut(lacks(c, line.from), line.along[0] * (c[0] - t[0]) + line.along[1] * (c[1] - t[1]));
    }
    add_piece(borders, line, kept, low, high);
  }
  return borders;
}

}  // namespace pal
