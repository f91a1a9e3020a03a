// Similarity and ellipses against SciPy (tests/golden/explain/README.md).
#include <gtest/gtest.h>

#include <cmath>

#include "experiments/explain/class_geometry.h"
#include "tests/support/golden_explain.h"

namespace pal {
namespace {

/// The expected confidence by Simpson's rule over the logit t (experiments/measures/README.md, 14).
double by_quadrature(double delta) {
  const double end = delta * (0.5 * delta + 12.0);
  const int steps = 20000;
  const auto density = [&](double t) {
    return std::exp(0.5 * t - t * t / (2.0 * delta * delta)) * (1.0 + std::exp(-t));
  };
  double mass = 0.0, sum = 0.0;
  for (int i = 0; i <= steps; ++i) {
    const double t = end * i / steps;
    const double weight = i == 0 || i == steps ? 1.0 : i % 2 == 1 ? 4.0 : 2.0;
    mass += weight * density(t);
    sum += weight * density(t) / (1.0 + std::exp(-t));
  }
  return sum / mass;
}

TEST(GeometryGolden, Similarity) {
  for (const auto& row : testing::golden_measures("similarity")) {
    const double delta = row.at("delta").get<double>();
    EXPECT_NEAR(expected_confidence(delta), row.at("closed").get<double>(), 1e-9) << delta;
    EXPECT_NEAR(expected_confidence(delta), row.at("quadrature").get<double>(), 1e-8) << delta;
    EXPECT_NEAR(expected_confidence(delta), by_quadrature(delta), 1e-8) << delta;
  }
}

TEST(GeometryGolden, Ellipse) {
  const auto golden = testing::golden_measures("ellipse");
  EXPECT_NEAR(normal_radius(0.9, 1), golden.at("half_width").get<double>(), 1e-9);
  EXPECT_NEAR(normal_radius(0.9, 4), golden.at("half_height_4").get<double>(), 1e-9);
  EXPECT_NEAR(normal_radius(0.9, 3), golden.at("half_height_3").get<double>(), 1e-9);
}

}  // namespace
}  // namespace pal
