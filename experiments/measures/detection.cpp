#include "experiments/measures/detection.h"

#include <algorithm>
#include <cmath>
#include <utility>

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

}  // namespace pal
