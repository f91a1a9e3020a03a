#include "experiments/explain/class_plane.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::random_tensor;

std::vector<double> random_values(int64_t count, uint64_t seed) {
  return testing::values_of(random_tensor({count}, DType::f64, seed));
}

double length(const PlanePoint& a, const PlanePoint& b) {
  return std::hypot(a[0] - b[0], a[1] - b[1]);
}

double spelled_distance(const std::vector<double>& means, size_t y, const double* z, size_t dims) {
  double sum = 0.0;
  for (size_t d = 0; d < dims; ++d) sum += std::pow(z[d] - means[y * dims + d], 2.0);
  return sum;
}

TEST(ClassPlane, FindsThePlaneThatMeansLieIn) {
  constexpr size_t kDims = 40, kClasses = 6;
  const ClassPlane made(random_values(kClasses * kDims, 3), kClasses);
  EXPECT_LT(made.share(), 0.9);
  // Means that lie in a plane stay where they are.
  const std::vector<double> means = made.means();
  const ClassPlane again(means, kClasses);
  EXPECT_NEAR(again.share(), 1.0, 1e-12);
  const std::vector<double> same = again.means();
  for (size_t i = 0; i < means.size(); ++i) EXPECT_NEAR(same[i], means[i], 1e-12);
  for (size_t a = 0; a < 2; ++a)
    for (size_t b = 0; b < 2; ++b)
      EXPECT_NEAR(std::inner_product(made.axes()[a].begin(), made.axes()[a].end(),
                                     made.axes()[b].begin(), 0.0),
                  a == b ? 1.0 : 0.0, 1e-12);
  for (size_t y = 0; y < kClasses; ++y)
    EXPECT_LT(length(made.project(&means[y * kDims]), made.places()[y]), 1e-12);
}

TEST(ClassPlane, IsTheNearestOfAllPlanes) {
  constexpr size_t kDims = 12, kClasses = 5;
  const std::vector<double> means = random_values(kClasses * kDims, 8);
  const auto moved = [&](const std::vector<double>& to) {
    double sum = 0.0;
    for (size_t i = 0; i < means.size(); ++i) sum += std::pow(means[i] - to[i], 2.0);
    return sum;
  };
  const ClassPlane best(means, kClasses);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::vector<double> other = best.means();
    const std::vector<double> noise = random_values(kClasses * kDims, 100 + seed);
    for (size_t i = 0; i < other.size(); ++i) other[i] += 0.1 * noise[i];
    EXPECT_GE(moved(ClassPlane(other, kClasses).means()), moved(best.means()));
  }
}

/// The Voronoi cells of the places in the plane are where the spelled-out means are nearest.
TEST(ClassPlane, NearestPlaceIsTheNearestMean) {
  constexpr size_t kDims = 30, kClasses = 10, kPoints = 500;
  const ClassPlane plane(random_values(kClasses * kDims, 5), kClasses);
  const std::vector<double> means = plane.means();
  const std::vector<double> z = random_values(kPoints * kDims, 6);
  for (size_t i = 0; i < kPoints; ++i) {
    const double* const point = &z[i * kDims];
    size_t nearest = 0;
    for (size_t y = 1; y < kClasses; ++y)
      if (spelled_distance(means, y, point, kDims) < spelled_distance(means, nearest, point, kDims))
        nearest = y;
    EXPECT_EQ(plane.nearest(plane.project(point)), static_cast<int64_t>(nearest));
  }
}

TEST(ClassPlane, RefusesWhatIsNoPlane) {
  testing::expect_error(ErrorKind::usage, "at least 3 classes", [] {
    ClassPlane({0, 1, 2, 3}, 2);
  });
  testing::expect_error(ErrorKind::usage, "on a line", [] { ClassPlane({0, 0, 1, 1, 2, 2}, 3); });
  testing::expect_error(ErrorKind::numerics, "not finite", [] {
    ClassPlane({0, 0, 1, NAN, 2, 2}, 3);
  });
}

TEST(CellBorders, LieBetweenTheTwoNearestPoints) {
  const std::vector<double> values = random_values(16, 4);
  std::vector<PlanePoint> points;
  for (size_t i = 0; i < 8; ++i) points.push_back({values[2 * i], values[2 * i + 1]});
  const PlanePoint low{-2, -2}, high{2, 2};
  const auto borders = cell_borders(points, low, high);
  EXPECT_GE(borders.size(), 7U);
  for (const CellBorder& border : borders)
    for (const double t : {0.01, 0.5, 0.99}) {
      const PlanePoint p{border.from[0] + t * (border.to[0] - border.from[0]),
                         border.from[1] + t * (border.to[1] - border.from[1])};
      std::vector<double> distances;
      for (const PlanePoint& point : points) distances.push_back(length(p, point));
      std::ranges::sort(distances);
      EXPECT_NEAR(distances[0], distances[1], 1e-9);
      for (size_t k = 0; k < 2; ++k) {
        EXPECT_GE(p[k], low[k] - 1e-9);
        EXPECT_LE(p[k], high[k] + 1e-9);
      }
    }
  // Two points: one border, from edge to edge.
  const auto one = cell_borders({{-1, 0}, {1, 0}}, low, high);
  ASSERT_EQ(one.size(), 1U);
  EXPECT_NEAR(std::abs(one[0].from[1] - one[0].to[1]), 4.0, 1e-12);
  EXPECT_TRUE(cell_borders({{-9, 0}, {-7, 0}}, low, high).empty());
}

}  // namespace
}  // namespace pal
