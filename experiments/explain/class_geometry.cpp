#include "experiments/explain/class_geometry.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "experiments/explain/doubles.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

constexpr double kShare = 0.9;

double product(const std::vector<double>& a, const double* b) {
  return std::inner_product(a.begin(), a.end(), b, 0.0);
}

/// The regularised lower incomplete gamma function P(a, x), by its series.
double gamma_share(double a, double x) {
  if (x <= 0.0) return 0.0;
  double term = 1.0 / a, sum = term;
  for (int k = 1; k < 10000 && term > sum * 1e-17; ++k) {
    term *= x / (a + k);
    sum += term;
  }
  return sum * std::exp(a * std::log(x) - x - std::lgamma(a));
}

/// Rows [count, length] minus their mean: what distances are made of, without what is common.
std::vector<double> centred(std::vector<double> rows, int64_t count) {
  const auto n = static_cast<size_t>(count);
  const size_t length = rows.size() / n;
  for (size_t d = 0; d < length; ++d) {
    double mean = 0.0;
    for (size_t i = 0; i < n; ++i) mean += rows[i * length + d] / static_cast<double>(count);
    for (size_t i = 0; i < n; ++i) rows[i * length + d] -= mean;
  }
  return rows;
}

/// The dot products of all pairs of rows [count, length].
std::vector<double> gram_of(const std::vector<double>& rows, int64_t count) {
  const int64_t length = static_cast<int64_t>(rows.size()) / count;
  std::vector<double> gram(static_cast<size_t>(count * count));
  constexpr int64_t kRows = 16;
  parallel_for((count + kRows - 1) / kRows, 1, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * kRows, last = std::min(count, end * kRows);
    dot_products(rows.data() + first * length, last - first, rows.data(), count, length,
                 gram.data() + first * count);
  });
  return gram;
}

}  // namespace

std::vector<double> class_distances(const MixtureHead& head) {
  const DoubleMeans means(head.means());
  const int64_t classes = means.classes, rank = means.rank;
  std::vector<double> squared = gram_of(centred(means.mean, classes), classes);
  if (rank > 0) {
    // alpha (P P^T) alpha^T, so that no mean is spelled out.
    const std::vector<double> alpha = centred(means.alpha, classes);
    const std::vector<double> gram = gram_of(means.prototypes, rank);
    std::vector<double> products(static_cast<size_t>(classes * rank));
    dot_products(alpha.data(), classes, gram.data(), rank, rank, products.data());
    std::vector<double> rest(static_cast<size_t>(classes * classes));
    dot_products(products.data(), classes, alpha.data(), classes, rank, rest.data());
    for (size_t i = 0; i < squared.size(); ++i) squared[i] += rest[i];
  }
  std::vector<double> distances(static_cast<size_t>(classes * classes));
  const auto at = [&](int64_t i, int64_t j) {
    return squared[static_cast<size_t>(i * classes + j)];
  };
  for (int64_t i = 0; i < classes; ++i)
    for (int64_t j = 0; j < classes; ++j)
      distances[static_cast<size_t>(i * classes + j)] =
          std::sqrt(std::max(0.0, at(i, i) + at(j, j) - at(i, j) - at(j, i)));
  if (!std::ranges::all_of(squared, [](double d) { return std::isfinite(d); }))
    fail(ErrorKind::numerics, "a class mean is not finite; the model has diverged");
  return distances;
}

double expected_confidence(double distance) { return 1.0 - expected_uncertainty(distance); }

double expected_uncertainty(double distance) {
  return 0.5 * std::erfc(distance / (2.0 * std::sqrt(2.0)));
}

double normal_radius(double share, int64_t dims) {
  expect(share > 0.0 && share < 1.0 && dims >= 1, "normal_radius: share {} in {} dimensions", share,
         dims);
  double low = 0.0, high = 1.0;
  const auto below = [&](double radius) {
    return gamma_share(0.5 * static_cast<double>(dims), 0.5 * radius * radius) < share;
  };
  while (below(high)) high *= 2.0;
  for (int i = 0; i < 200 && high - low > 1e-15 * high; ++i) {
    const double middle = 0.5 * (low + high);
    (below(middle) ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

std::vector<int64_t> dendrogram_order(const std::vector<double>& distances, int64_t count) {
  const auto n = static_cast<size_t>(count);
  expect(distances.size() == n * n && n > 0, "dendrogram_order: {} distances of {} classes",
         distances.size(), count);
  std::vector<double> between = distances;  // of the clusters that are left, by a member's number
  std::vector<std::vector<int64_t>> leaves(n);
  for (size_t i = 0; i < n; ++i) leaves[i] = {static_cast<int64_t>(i)};
  std::vector<size_t> left(n);
  std::iota(left.begin(), left.end(), size_t{0});
  while (left.size() > 1) {
    size_t a = left[0], b = left[1];
    for (size_t i = 0; i < left.size(); ++i)
      for (size_t j = i + 1; j < left.size(); ++j)
        if (between[left[i] * n + left[j]] < between[a * n + b]) {
          a = left[i];
          b = left[j];
        }
    const auto wa = static_cast<double>(leaves[a].size());
    const auto wb = static_cast<double>(leaves[b].size());
    for (const size_t c : left) {
      const double mean = (wa * between[a * n + c] + wb * between[b * n + c]) / (wa + wb);
      between[a * n + c] = between[c * n + a] = mean;
    }
    // The ends that meet are those that are more alike.
    auto& x = leaves[a];
    auto& y = leaves[b];
    const auto gap = [&](int64_t i, int64_t j) {
      return distances[static_cast<size_t>(i) * n + static_cast<size_t>(j)];
    };
    const bool turn_x = std::min(gap(x.front(), y.front()), gap(x.front(), y.back())) <
                        std::min(gap(x.back(), y.front()), gap(x.back(), y.back()));
    if (turn_x) std::ranges::reverse(x);
    if (gap(x.back(), y.back()) < gap(x.back(), y.front())) std::ranges::reverse(y);
    x.insert(x.end(), y.begin(), y.end());
    std::erase(left, b);
  }
  return leaves[left[0]];
}

DecisionSpace::DecisionSpace(const MixtureHead& head, const std::vector<int64_t>& classes,
                             bool affine) {
  const size_t least = affine ? 3 : 2;
  expect(classes.size() >= least, "decision: {}needs at least {} classes, got {}",
         affine ? "the hull " : "", least, classes.size());
  std::vector<std::vector<double>> means;
  means.reserve(classes.size());
  for (const int64_t y : classes) means.push_back(to_doubles(head.class_mean(y)));
  const size_t dims = means[0].size();
  // The line first, then what the others add to it.
  std::vector<std::vector<double>> directions;
  for (size_t y = 1; y < means.size(); ++y) {
    directions.push_back(means[y]);
    for (size_t d = 0; d < dims; ++d) directions.back()[d] -= means[0][d];
  }
  if (!affine) directions.push_back(means[0]);
  for (std::vector<double>& direction : directions) {
    const double length = std::sqrt(product(direction, direction.data()));
    // Twice, as the first pass leaves rounding of the size of the whole.
    for (int pass = 0; pass < 2; ++pass)
      for (const auto& known : basis_) {
        const double part = product(known, direction.data());
        for (size_t d = 0; d < dims; ++d) direction[d] -= part * known[d];
      }
    const double rest = std::sqrt(product(direction, direction.data()));
    if (!std::isfinite(rest))
      fail(ErrorKind::numerics, "a class mean is not finite; the model has diverged");
    expect(rest > 1e-9 * length && rest > 0.0,
           "decision: the means of the chosen classes are linearly dependent");
    for (double& value : direction) value /= rest;
    basis_.push_back(direction);
  }
  for (const auto& mean : means) means_.push_back(coordinates_of(mean.data()));
}

std::vector<double> DecisionSpace::coordinates_of(const double* point) const {
  std::vector<double> coordinates;
  for (const auto& direction : basis_) coordinates.push_back(product(direction, point));
  return coordinates;
}

DecisionPoint DecisionSpace::place(const std::vector<double>& coordinates) const {
  DecisionPoint point{coordinates[0] - means_[0][0], 0.0};
  for (size_t k = 1; k < coordinates.size(); ++k)
    point.beside += std::pow(coordinates[k] - means_[0][k], 2.0);
  point.beside = std::sqrt(point.beside);
  return point;
}

DecisionPoint DecisionSpace::mean(size_t i) const { return place(means_[i]); }

DecisionPoint DecisionSpace::project(const double* z) const { return place(coordinates_of(z)); }

DecisionPoint DecisionSpace::half_axes() const {
  return {normal_radius(kShare, 1), normal_radius(kShare, dims() - 1)};
}

}  // namespace pal
