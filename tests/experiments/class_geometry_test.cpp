#include "experiments/explain/class_geometry.h"

#include <gtest/gtest.h>

#include <cmath>

#include "experiments/report/matrix_chart.h"
#include "tests/support/random_head.h"

namespace pal {
namespace {

struct Head : testing::RandomHead {
  using RandomHead::RandomHead;
  std::vector<double> mean(int64_t y) const {
    const Tensor t = head.class_mean(y);
    return {t.data<double>(), t.data<double>() + t.numel()};
  }
};

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

TEST(ClassDistances, AreThoseOfTheMeansWhateverTheRank) {
  for (const int64_t rank : {0, 1, 3}) {
    const Head h(rank);
    const auto found = class_distances(h.head);
    for (int64_t i = 0; i < 5; ++i)
      for (int64_t j = 0; j < 5; ++j)
        EXPECT_NEAR(found[static_cast<size_t>(5 * i + j)], distance(h.mean(i), h.mean(j)), 1e-10);
  }
}

TEST(Uncertainty, IsExactFarAway) {
  EXPECT_DOUBLE_EQ(expected_uncertainty(0.0), 0.5);
  EXPECT_NEAR(expected_uncertainty(1.683), 0.20003, 1e-5);
  EXPECT_NEAR(expected_uncertainty(40.0) / 2.753624118606234e-89, 1.0, 1e-9);
}

TEST(DendrogramOrder, PutsAlikeClassesSideBySide) {
  // Two groups on a line, numbered across each other.
  const std::vector<double> places = {0.0, 10.0, 0.3, 10.2, 0.1};
  std::vector<double> distances;
  for (const double a : places)
    for (const double b : places) distances.push_back(std::abs(a - b));
  const auto order = dendrogram_order(distances, 5);
  for (size_t i = 0; i + 1 < 5; ++i)
    EXPECT_LE(
        std::abs(places[static_cast<size_t>(order[i])] - places[static_cast<size_t>(order[i + 1])]),
        i == 1 || i == 2 ? 10.0 : 0.3);
  EXPECT_EQ(dendrogram_order({0.0}, 1), (std::vector<int64_t>{0}));
}

TEST(MatrixChart, OfManyCellsIsAPicture) {
  MatrixChart chart;
  chart.title = "many";
  for (int i = 0; i < 120; ++i) chart.rows.push_back(std::to_string(i));
  chart.columns = chart.rows;
  for (int i = 0; i < 120 * 120; ++i) chart.values.push_back(i % 7 == 0 ? NAN : i);
  const std::string svg = chart.svg();
  EXPECT_NE(svg.find("href=\"data:image/png;base64,iVBORw0KGgo"), std::string::npos);
  EXPECT_LT(svg.size(), 100000U);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(DecisionSpace, KeepsDistancesInTheSpan) {
  for (const int64_t rank : {0, 4}) {
    const Head h(rank);
    const DecisionSpace space(h.head, {3, 1, 0, 4, 2});
    EXPECT_EQ(space.dims(), 5);
    EXPECT_NEAR(space.mean(0).along, 0.0, 1e-9);
    EXPECT_NEAR(space.mean(0).beside, 0.0, 1e-9);
    EXPECT_NEAR(space.mean(1).along, distance(h.mean(3), h.mean(1)), 1e-9);
    EXPECT_NEAR(space.mean(1).beside, 0.0, 1e-9);
    // A mean lies in the span: both coordinates make up its distance.
    const DecisionPoint third = space.mean(2);
    EXPECT_NEAR(std::hypot(third.along, third.beside), distance(h.mean(3), h.mean(0)), 1e-9);
    const auto mean = h.mean(4);
    EXPECT_NEAR(space.project(mean.data()).along, space.mean(3).along, 1e-9);
    EXPECT_NEAR(space.half_axes().along, 1.6449, 1e-4);
    EXPECT_NEAR(space.half_axes().beside, 2.7892, 1e-4);
  }
  const Head h(0);
  // The hull of the means has one dimension less, and distances between means all the same.
  const DecisionSpace hull(h.head, {3, 1, 0, 4, 2}, true);
  EXPECT_EQ(hull.dims(), 4);
  EXPECT_NEAR(hull.half_axes().beside, 2.5003, 1e-4);
  EXPECT_NEAR(std::hypot(hull.mean(2).along, hull.mean(2).beside), distance(h.mean(3), h.mean(0)),
              1e-9);
  const std::vector<double> origin(h.mean(0).size());
  EXPECT_LT(hull.project(origin.data()).beside,
            DecisionSpace(h.head, {3, 1, 0, 4, 2}).project(origin.data()).beside);
  testing::expect_error(ErrorKind::usage, "at least 3 classes", [&] {
    DecisionSpace(h.head, {0, 1}, true);
  });
  EXPECT_NEAR(DecisionSpace(h.head, {0, 1}).half_axes().beside, 1.6449, 1e-4);
  testing::expect_error(ErrorKind::usage, "at least 2 classes",
                        [&] { DecisionSpace(h.head, {0}); });
  testing::expect_error(ErrorKind::usage, "linearly dependent", [&] {
    DecisionSpace(h.head, {0, 1, 1});
  });
}

TEST(MatrixChart, DrawsNumbersOfSmallOnes) {
  MatrixChart chart;
  chart.title = "a & b";
  chart.unit = "distance";
  chart.rows = chart.columns = {"x", "y"};
  chart.values = {0.0, 1.25, 1.25, NAN};
  const std::string svg = chart.svg();
  for (const char* text : {"a &amp; b", ">1.25<", ">x<", "0 (white) to 1.25 (dark)"})
    EXPECT_NE(svg.find(text), std::string::npos) << text;
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  chart.values.pop_back();
  testing::expect_error(ErrorKind::usage, "3 values of 2 x 2", [&] { chart.svg(); });
}

}  // namespace
}  // namespace pal
