#include "experiments/measures/detection.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "experiments/measures/ood_score.h"
#include "runtime/error.h"

namespace pal {
namespace {

/// Shares of `others` below each value, equal ones counted half; `others` sorted.
double variance_of_shares(const std::vector<double>& values, const std::vector<double>& others) {
  std::vector<double> sorted = others;
  std::ranges::sort(sorted);
  double sum = 0.0, square = 0.0;
  for (const double value : values) {
    const auto [first, last] = std::equal_range(sorted.begin(), sorted.end(), value);
    const double share = 0.5 *
                         static_cast<double>((first - sorted.begin()) + (last - sorted.begin())) /
                         static_cast<double>(sorted.size());
    sum += share;
    square += share * share;
  }
  const auto n = static_cast<double>(values.size());
  return std::max(0.0, (square - sum * sum / n) / (n - 1.0));
}

/// How many of either reach a threshold.
struct Reached {
  double positives = 0.0;
  double negatives = 0.0;
};

/// Calls visit(reached) for each different score, from the highest down, until it returns false.
template <typename Visit>
void visit_thresholds(std::vector<double> positives, std::vector<double> negatives, Visit&& visit) {
  std::ranges::sort(positives, std::greater<>());
  std::ranges::sort(negatives, std::greater<>());
  size_t p = 0, n = 0;
  while (p < positives.size() || n < negatives.size()) {
    const double threshold = p == positives.size()   ? negatives[n]
                             : n == negatives.size() ? positives[p]
                                                     : std::max(positives[p], negatives[n]);
    while (p < positives.size() && positives[p] >= threshold) ++p;
    while (n < negatives.size() && negatives[n] >= threshold) ++n;
    if (!visit(Reached{static_cast<double>(p), static_cast<double>(n)})) return;
  }
}

void expect_both(const char* what, const std::vector<double>& positives,
                 const std::vector<double>& negatives, size_t least) {
  expect(positives.size() >= least && negatives.size() >= least,
         "{}: {} positives and {} negatives; expected at least {} of each", what, positives.size(),
         negatives.size(), least);
}

}  // namespace

double auc_standard_error(const std::vector<double>& positives,
                          const std::vector<double>& negatives) {
  expect_both("auc_standard_error", positives, negatives, 2);
  return std::sqrt(
      variance_of_shares(positives, negatives) / static_cast<double>(positives.size()) +
      variance_of_shares(negatives, positives) / static_cast<double>(negatives.size()));
}

PrecisionRecall precision_recall(const std::vector<double>& positives,
                                 const std::vector<double>& negatives) {
  expect_both("precision_recall", positives, negatives, 1);
  PrecisionRecall area;
  double recall = 0.0, precision = 1.0;
  visit_thresholds(positives, negatives, [&](const Reached& r) {
    const double next_recall = r.positives / static_cast<double>(positives.size());
    const double next_precision = r.positives / (r.positives + r.negatives);
    area.average_precision += (next_recall - recall) * next_precision;
    area.trapezoid += (next_recall - recall) * 0.5 * (precision + next_precision);
    recall = next_recall;
    precision = next_precision;
    return true;
  });
  return area;
}

double false_positive_rate_at(double rate, const std::vector<double>& positives,
                              const std::vector<double>& negatives) {
  expect_both("false_positive_rate_at", positives, negatives, 1);
  double found = 1.0;
  visit_thresholds(positives, negatives, [&](const Reached& r) {
    found = r.negatives / static_cast<double>(negatives.size());
    return r.positives < rate * static_cast<double>(positives.size());
  });
  return found;
}

Detection judge_detection(const std::vector<double>& foreign, const std::vector<double>& familiar) {
  constexpr double kRate = 0.95;
  // Familiar images have the lower scores; negated they are the positives.
  const auto negated = [](std::vector<double> values) {
    for (double& v : values) v = -v;
    return values;
  };
  const std::vector<double> own = negated(familiar), other = negated(foreign);
  const PrecisionRecall found = precision_recall(foreign, familiar);
  const PrecisionRecall passed = precision_recall(own, other);
  const bool few = foreign.size() < 2 || familiar.size() < 2;
  Detection detection;
  detection.auc = rank_auc(foreign, familiar);
  detection.error =
      few ? std::numeric_limits<double>::quiet_NaN() : auc_standard_error(foreign, familiar);
  detection.aupr_foreign = found.trapezoid;
  detection.aupr_familiar = passed.trapezoid;
  detection.ap_foreign = found.average_precision;
  detection.ap_familiar = passed.average_precision;
  detection.fpr95_foreign = false_positive_rate_at(kRate, foreign, familiar);
  detection.fpr95_familiar = false_positive_rate_at(kRate, own, other);
  return detection;
}

std::vector<RocPoint> roc_curve(const std::vector<double>& positives,
                                const std::vector<double>& negatives, double step) {
  expect_both("roc_curve", positives, negatives, 1);
  std::vector<RocPoint> curve = {{0.0, 0.0}};
  RocPoint last;
  visit_thresholds(positives, negatives, [&](const Reached& r) {
    last = {r.negatives / static_cast<double>(negatives.size()),
            r.positives / static_cast<double>(positives.size())};
    const RocPoint& before = curve.back();
    if (last.negatives - before.negatives >= step || last.positives - before.positives >= step)
      curve.push_back(last);
    return true;
  });
  if (curve.back().negatives < 1.0 || curve.back().positives < 1.0) curve.push_back(last);
  return curve;
}

}  // namespace pal
