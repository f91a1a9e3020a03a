#include "experiments/attack_study/trajectory_plane.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "experiments/explain/doubles.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr size_t kFitted = 5;

/// [rows, dims]; their squared lengths.
std::vector<double> squared_lengths(const std::vector<double>& rows, size_t dims) {
  std::vector<double> lengths;
  for (size_t i = 0; i < rows.size(); i += dims)
    lengths.push_back(std::inner_product(&rows[i], &rows[i] + dims, &rows[i], 0.0));
  return lengths;
}

/// The least squared distance of each class mean from the steps.
std::vector<double> least_distances(const std::vector<double>& means,
                                    const std::vector<double>& steps, size_t dims) {
  const std::vector<double> of_means = squared_lengths(means, dims);
  const std::vector<double> of_steps = squared_lengths(steps, dims);
  const size_t classes = of_means.size();
  std::vector<double> products(of_steps.size() * classes);
  dot_products(steps.data(), static_cast<int64_t>(of_steps.size()), means.data(),
               static_cast<int64_t>(classes), static_cast<int64_t>(dims), products.data());
  std::vector<double> least(classes, std::numeric_limits<double>::infinity());
  for (size_t i = 0; i < of_steps.size(); ++i)
    for (size_t y = 0; y < classes; ++y)
      least[y] = std::min(least[y], of_steps[i] + of_means[y] - 2.0 * products[i * classes + y]);
  return least;
}

std::vector<PlanePoint> projected(const ClassPlane& plane, const std::vector<double>& rows) {
  std::vector<PlanePoint> points;
  for (size_t i = 0; i < rows.size(); i += static_cast<size_t>(plane.dims()))
    points.push_back(plane.project(&rows[i]));
  return points;
}

}  // namespace

TrajectoryPlane trajectory_plane(const std::vector<double>& means, int64_t classes,
                                 const std::vector<double>& steps) {
  expect(classes >= 3, "trajectory plane: needs at least 3 classes, got {}", classes);
  const size_t dims = means.size() / static_cast<size_t>(classes);
  expect(dims > 0 && means.size() == dims * static_cast<size_t>(classes),
         "trajectory plane: {} values are no means of {} classes", means.size(), classes);
  expect(!steps.empty() && steps.size() % dims == 0,
         "trajectory plane: {} values are no steps of {} dimensions", steps.size(), dims);
  const auto finite = [](double v) { return std::isfinite(v); };
  if (!std::ranges::all_of(means, finite) || !std::ranges::all_of(steps, finite))
    fail(ErrorKind::numerics, "trajectory plane: a mean or a step is not finite");
  const std::vector<double> least = least_distances(means, steps, dims);
  std::vector<int64_t> order(least.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::stable_sort(order, {}, [&](int64_t y) { return least[static_cast<size_t>(y)]; });
  order.resize(std::min(order.size(), kFitted));
  std::vector<double> closest;
  for (const int64_t y : order) {
    const auto row = means.begin() + y * static_cast<std::ptrdiff_t>(dims);
    closest.insert(closest.end(), row, row + static_cast<std::ptrdiff_t>(dims));
  }
  const ClassPlane plane(closest, static_cast<int64_t>(order.size()));
  return {plane, order, projected(plane, means), projected(plane, steps)};
}

}  // namespace pal
