// Edges of the measures that other programs' numbers do not reach (measures_golden_test.cpp).
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "experiments/measures/calibration.h"
#include "experiments/measures/conformal.h"
#include "experiments/measures/detection.h"
#include "experiments/measures/jackknife.h"
#include "experiments/measures/risk_coverage.h"
#include "experiments/measures/temperature.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;

ImageResult answer(double confidence, bool right) {
  ImageResult r;
  r.confidence = confidence;
  r.rank = right ? 0 : 1;
  return r;
}

/// Images whose scores are three times too sure of a label that is right in nine of ten.
ScoredImages overconfident(int64_t count) {
  ScoredImages images;
  images.classes = 2;
  for (int64_t i = 0; i < count; ++i) {
    const double scores[] = {3.0 * std::log(9.0), 0.0};
    images.add(scores, i % 10 == 0 ? 1 : 0);
  }
  return images;
}

TEST(Conformal, PromisesNoMoreThanTheCountAllows) {
  std::vector<double> scores;
  for (int i = 1; i <= 98; ++i) scores.push_back(i);
  const ConformalScores few(scores);
  EXPECT_EQ(few.threshold(0.9), 90.0);
  EXPECT_EQ(few.threshold(0.95), 95.0);
  EXPECT_TRUE(std::isinf(few.threshold(0.99)));
  EXPECT_EQ(few.p_high(1000.0), 1.0 / 99.0);
  EXPECT_EQ(few.p_low(1000.0), 1.0);
  EXPECT_EQ(few.p_two(1000.0), 2.0 / 99.0);
  EXPECT_EQ(few.p_two(49.5), 1.0);
  scores.push_back(99);
  EXPECT_EQ(ConformalScores(scores).threshold(0.99), 99.0);
  expect_error(ErrorKind::usage, "no scores", [] { ConformalScores({}); });
  expect_error(ErrorKind::numerics, "not finite", [] {
    ConformalScores({1.0, std::numeric_limits<double>::quiet_NaN()});
  });
}

/// Held-out scores of one kind: whatever the threshold, at most that share of new ones is rejected.
TEST(Conformal, RejectsAtMostTheShareItSays) {
  std::vector<double> known, fresh;
  for (int i = 0; i < 999; ++i) known.push_back(std::fmod(i * 0.618033988749895, 1.0));
  for (int i = 0; i < 5000; ++i) fresh.push_back(std::fmod(0.1 + i * 0.7548776662466927, 1.0));
  const ConformalScores scores(known);
  for (const double share : {0.01, 0.05, 0.2}) {
    int rejected = 0;
    for (const double s : fresh) rejected += scores.p_two(s) <= share ? 1 : 0;
    EXPECT_NEAR(rejected / 5000.0, share, 0.01) << share;
  }
  EXPECT_EQ(fused_p({0.5, 0.4, 0.9}), 1.0);
  EXPECT_DOUBLE_EQ(fused_p({0.5, 0.01, 0.9}), 0.03);
}

TEST(Temperature, UndoesOverconfidence) {
  const ScoredImages images = overconfident(1000);
  EXPECT_NEAR(fit_temperature(images), 3.0, 1e-9);
  EXPECT_LT(mean_nll(images, 3.0), mean_nll(images, 1.0));
  for (const auto& [t, q] : {std::pair(1.0, 729.0 / 730.0), {3.0, 0.9}})
    EXPECT_NEAR(posteriors(images, t)[0], q, 1e-12);
  expect_error(ErrorKind::usage, "no images", [] { fit_temperature({}); });
}

/// Where every image is right, colder is always better; the search ends at its bound.
TEST(Temperature, StaysWithinItsBounds) {
  ScoredImages images;
  images.classes = 2;
  const double scores[] = {1.0, 0.0};
  images.add(scores, 0);
  EXPECT_LT(fit_temperature(images), 0.01);  // where the probability is 1 in double
  images.labels[0] = 1;
  EXPECT_NEAR(fit_temperature(images), 1e3, 1.0);
}

TEST(Calibration, BinsCloseOnTheRight) {
  // On an edge: with the bin below, so that both are in one bin and cancel.
  const std::vector<ImageResult> results = {answer(0.6, true), answer(0.6 - 0.05, false)};
  EXPECT_NEAR(top_label_ece(results), std::abs(0.6 - 1.0 + 0.55) / 2.0, 1e-12);
  EXPECT_EQ(top_label_ece({}), 0.0);
  EXPECT_EQ(adaptive_ece({}), 0.0);
  EXPECT_NEAR(adaptive_ece({answer(0.7, true)}), 0.3, 1e-12);
  // Equal confidences all share one bin.
  EXPECT_NEAR(adaptive_ece(std::vector<ImageResult>(100, answer(0.7, false))), 0.7, 1e-12);
}

TEST(Calibration, ClasswiseErrorsCountEveryClass) {
  ClasswiseCalibration sure(3);
  const double q[] = {0.5, 0.5, 0.0};
  for (int i = 0; i < 40; ++i) sure.add(q, i % 2);
  EXPECT_NEAR(sure.ece(), 0.0, 1e-12);
  ClasswiseCalibration wrong(3);
  for (int i = 0; i < 40; ++i) wrong.add(q, 2);
  EXPECT_NEAR(wrong.ece(), (0.5 + 0.5 + 1.0) / 3.0, 1e-12);
  EXPECT_NEAR(wrong.standard_error(), 0.0, 1e-12);
  expect_error(ErrorKind::usage, "2 probabilities of 3 classes",
               [&] { sure.add(std::span(q, 2), 0); });
}

TEST(RiskCoverage, RanksErrorsByConfidence) {
  // Right, wrong, right from the most confident on.
  const std::vector<ImageResult> results = {answer(0.7, false), answer(0.9, true),
                                            answer(0.5, true)};
  const std::vector<double> risk = risk_by_coverage(results);
  ASSERT_EQ(risk.size(), 3U);
  EXPECT_EQ(risk[0], 0.0);
  EXPECT_EQ(risk[1], 0.5);
  EXPECT_DOUBLE_EQ(risk[2], 1.0 / 3.0);
  EXPECT_DOUBLE_EQ(aurc(results), (0.5 + 1.0 / 3.0) / 3.0);
  EXPECT_DOUBLE_EQ(error_auc(results), 0.5);
  EXPECT_TRUE(std::isnan(error_auc({answer(0.5, true)})));
  expect_error(ErrorKind::usage, "aurc: no images", [] { aurc({}); });
}

/// Of a mean, the jackknife's standard error is the textbook's.
TEST(Jackknife, OfAMeanIsTheTextbooks) {
  std::vector<double> values;
  for (int i = 0; i < 2000; ++i) values.push_back(std::fmod(i * 0.618033988749895, 1.0));
  const auto mean = [](const std::vector<double>& v) {
    double sum = 0.0;
    for (const double x : v) sum += x;
    return sum / static_cast<double>(v.size());
  };
  // Uniform on [0, 1): the spread of groups of 100 in this even sequence is far below chance's, so
  // values are shuffled by their index's hash.
  std::vector<double> mixed(values.size());
  for (size_t i = 0; i < values.size(); ++i) mixed[(i * 7919) % values.size()] = values[i];
  const double error = jackknife_error(mixed, mean);
  EXPECT_GT(error, 0.0);
  EXPECT_LT(error, 3.0 * std::sqrt(1.0 / 12.0 / 2000.0));
  EXPECT_EQ(jackknife_error(std::vector<double>(5, 1.0), mean), 0.0);
  // Two halves of groups at 0 and 1: leaving one out moves the mean by 1/38 either way.
  std::vector<double> groups;
  for (int i = 0; i < 200; ++i) groups.push_back(i % 20 < 10 ? 0.0 : 1.0);
  EXPECT_NEAR(jackknife_error(groups, mean), std::sqrt(19.0 / 20.0 * 20.0) / 38.0, 1e-12);
}

TEST(Detection, EqualScoresAreOneThreshold) {
  // One value for all: precision is the share of positives, and no threshold tells them apart.
  const std::vector<double> same(10, 1.0);
  EXPECT_DOUBLE_EQ(precision_recall(same, same).average_precision, 0.5);
  EXPECT_DOUBLE_EQ(false_positive_rate_at(0.95, same, same), 1.0);
  EXPECT_DOUBLE_EQ(auc_standard_error(same, same), 0.0);
  EXPECT_DOUBLE_EQ(precision_recall({2.0, 3.0}, {1.0}).trapezoid, 1.0);
  EXPECT_DOUBLE_EQ(false_positive_rate_at(1.0, {2.0, 3.0}, {1.0}), 0.0);
  expect_error(ErrorKind::usage, "1 positives", [] { auc_standard_error({1.0}, {1.0, 2.0}); });
}

}  // namespace
}  // namespace pal
