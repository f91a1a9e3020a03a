// The measures against scikit-learn, SciPy and numpy in float64 (tests/golden/explain/README.md).
#include <gtest/gtest.h>

#include "experiments/measures/calibration.h"
#include "experiments/measures/conformal.h"
#include "experiments/measures/detection.h"
#include "experiments/measures/ood_score.h"
#include "experiments/measures/risk_coverage.h"
#include "experiments/measures/temperature.h"
#include "tests/support/golden_explain.h"

namespace pal {
namespace {

using testing::doubles;
using testing::golden_measures;

constexpr double kTolerance = 1e-9;

std::vector<double> negated(std::vector<double> values) {
  for (double& v : values) v = -v;
  return values;
}

TEST(MeasuresGolden, Detection) {
  const auto golden = golden_measures("detection");
  const auto own = doubles(golden.at("in_scores"));
  const auto foreign = doubles(golden.at("out_scores"));
  const auto expect_value = [&](const char* name, double found) {
    EXPECT_NEAR(found, golden.at(name).get<double>(), kTolerance) << name;
  };
  expect_value("auroc", rank_auc(foreign, own));
  expect_value("auroc_standard_error_delong", auc_standard_error(foreign, own));
  const PrecisionRecall out = precision_recall(foreign, own);
  expect_value("aupr_out_trapezoid", out.trapezoid);
  expect_value("ap_out", out.average_precision);
  const PrecisionRecall in = precision_recall(negated(own), negated(foreign));
  expect_value("aupr_in_trapezoid", in.trapezoid);
  expect_value("ap_in", in.average_precision);
  expect_value("fpr_at_95_tpr_out_positive", false_positive_rate_at(0.95, foreign, own));
  expect_value("fpr_at_95_tpr_in_positive",
               false_positive_rate_at(0.95, negated(own), negated(foreign)));
}

TEST(MeasuresGolden, DetectionAtOnce) {
  const auto golden = golden_measures("detection");
  const Detection found =
      judge_detection(doubles(golden.at("out_scores")), doubles(golden.at("in_scores")));
  const auto expect_value = [&](const char* name, double value) {
    EXPECT_NEAR(value, golden.at(name).get<double>(), kTolerance) << name;
  };
  expect_value("auroc", found.auc);
  expect_value("auroc_standard_error_delong", found.error);
  expect_value("aupr_out_trapezoid", found.aupr_foreign);
  expect_value("aupr_in_trapezoid", found.aupr_familiar);
  expect_value("ap_out", found.ap_foreign);
  expect_value("ap_in", found.ap_familiar);
  expect_value("fpr_at_95_tpr_out_positive", found.fpr95_foreign);
  expect_value("fpr_at_95_tpr_in_positive", found.fpr95_familiar);
}

TEST(MeasuresGolden, Conformal) {
  const auto golden = golden_measures("conformal");
  const ConformalScores known(doubles(golden.at("calibration")));
  const auto scores = doubles(golden.at("scores"));
  for (size_t i = 0; i < scores.size(); ++i) {
    const auto expect_value = [&](const char* name, double found) {
      EXPECT_NEAR(found, golden.at(name).at(i).get<double>(), kTolerance) << name << " " << i;
    };
    const double s = scores[i];
    expect_value("p_low", known.p_low(s));
    expect_value("p_high", known.p_high(s));
    expect_value("p_two", known.p_two(s));
    expect_value("fused_bonferroni", fused_p({known.p_two(s), known.p_high(s)}));
  }
}

TEST(MeasuresGolden, Calibration) {
  const auto golden = golden_measures("calibration");
  const auto labels = golden.at("labels").get<std::vector<int32_t>>();
  ScoredImages images;
  images.classes = static_cast<int64_t>(golden.at("logits").at(0).size());
  for (size_t i = 0; i < labels.size(); ++i)
    images.add(doubles(golden.at("logits").at(i)), labels[i]);
  const std::vector<double> q = posteriors(images);
  std::vector<ImageResult> results;
  std::vector<double> label_scores;
  std::vector<double> probabilities(static_cast<size_t>(images.classes));
  ClasswiseCalibration classwise(images.classes);
  for (int64_t i = 0; i < images.count(); ++i) {
    const int32_t label = labels[static_cast<size_t>(i)];
    results.push_back(judge_scores(images.row(i), label, 0.0, probabilities));
    classwise.add(probabilities, label);
    label_scores.push_back(1.0 - q[static_cast<size_t>(i * images.classes + label)]);
  }
  const auto expect_value = [&](const char* name, double found, double tolerance = kTolerance) {
    EXPECT_NEAR(found, golden.at(name).get<double>(), tolerance) << name;
  };
  expect_value("nll", summarize(results).ce);
  expect_value("brier", summarize(results).brier);
  const double temperature = fit_temperature(images);
  expect_value("temperature", temperature, 1e-5);
  expect_value("nll_at_temperature", mean_nll(images, temperature));
  expect_value("ece15", top_label_ece(results));
  expect_value("adaptive_ece15", adaptive_ece(results));
  expect_value("classwise_ece15", classwise.ece());
  expect_value("aurc", aurc(results));
  expect_value("auroc_of_errors_by_confidence", error_auc(results));
  const ConformalScores conformal(label_scores);
  for (const auto& [level, threshold] : golden.at("lac_threshold").items())
    EXPECT_NEAR(conformal.threshold(1.0 - std::stod(level)), threshold.get<double>(), kTolerance)
        << level;
}

}  // namespace
}  // namespace pal
