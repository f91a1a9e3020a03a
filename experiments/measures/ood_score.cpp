#include "experiments/measures/ood_score.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "runtime/error.h"

namespace pal {
namespace {

/// Share of a sorted list below s, equal ones counted half.
double mid_rank(const std::vector<double>& sorted, double s) {
  const auto [first, last] = std::equal_range(sorted.begin(), sorted.end(), s);
  const auto twice = (first - sorted.begin()) + (last - sorted.begin());
  return 0.5 * static_cast<double>(twice) / static_cast<double>(sorted.size());
}

}  // namespace

const char* name_of(OodTest test) {
  switch (test) {
    case OodTest::one_tailed:
      return "one-tailed";
    case OodTest::typicality:
      return "typicality";
    case OodTest::quantile:
      break;
  }
  return "quantile";
}

OodReference::OodReference(std::vector<double> scores) : sorted_(std::move(scores)) {
  expect(!sorted_.empty(), "OodReference: no scores");
  for (const double s : sorted_)
    if (!std::isfinite(s)) fail(ErrorKind::numerics, "OodReference: a score is not finite");
  std::ranges::sort(sorted_);
  mean_ =
      std::accumulate(sorted_.begin(), sorted_.end(), 0.0) / static_cast<double>(sorted_.size());
  for (const double s : sorted_) sorted_distance_.push_back(std::abs(s - mean_));
  std::ranges::sort(sorted_distance_);
}

double OodReference::median() const {
  const size_t middle = sorted_.size() / 2;
  return sorted_.size() % 2 == 1 ? sorted_[middle] : 0.5 * (sorted_[middle - 1] + sorted_[middle]);
}

double OodReference::distribution(double s) const { return mid_rank(sorted_, s); }

double OodReference::p_value(OodTest test, double s) const {
  const double below = distribution(s);
  switch (test) {
    case OodTest::one_tailed:
      return below;
    case OodTest::quantile:
      return 2.0 * std::min(below, 1.0 - below);
    case OodTest::typicality:
      break;
  }
  const auto nearer = std::ranges::lower_bound(sorted_distance_, std::abs(s - mean_));
  return static_cast<double>(sorted_distance_.end() - nearer) /
         static_cast<double>(sorted_distance_.size());
}

OodReference::Range OodReference::accepted(OodTest test, double p) const {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Range range = {kInfinity, -kInfinity};
  for (const double s : sorted_) {
    if (p_value(test, s) <= p) continue;
    range.low = std::min(range.low, s);
    range.high = test == OodTest::one_tailed ? kInfinity : s;
  }
  return range;
}

double OodReference::unfamiliarity(OodTest test, double s) const {
  switch (test) {
    case OodTest::one_tailed:
      return -s;
    case OodTest::typicality:
      return std::abs(s - mean_);
    case OodTest::quantile:
      break;
  }
  return 1.0 - p_value(test, s);
}

std::vector<double> OodReference::unfamiliarity(OodTest test,
                                                const std::vector<double>& scores) const {
  std::vector<double> values;
  values.reserve(scores.size());
  for (const double s : scores) values.push_back(unfamiliarity(test, s));
  return values;
}

double rank_auc(const std::vector<double>& positives, const std::vector<double>& negatives) {
  expect(!positives.empty() && !negatives.empty(), "rank_auc: {} positives and {} negatives",
         positives.size(), negatives.size());
  std::vector<double> sorted = negatives;
  std::ranges::sort(sorted);
  double sum = 0.0;
  for (const double value : positives) sum += mid_rank(sorted, value);
  return sum / static_cast<double>(positives.size());
}

}  // namespace pal
