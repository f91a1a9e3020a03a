#include "experiments/measures/conformal.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/error.h"

namespace pal {

ConformalScores::ConformalScores(std::vector<double> scores) : sorted_(std::move(scores)) {
  expect(!sorted_.empty(), "ConformalScores: no scores");
  for (const double s : sorted_)
    if (!std::isfinite(s)) fail(ErrorKind::numerics, "ConformalScores: a score is not finite");
  std::ranges::sort(sorted_);
}

double ConformalScores::p_low(double s) const {
  const auto most = std::ranges::upper_bound(sorted_, s) - sorted_.begin();
  return static_cast<double>(1 + most) / static_cast<double>(1 + count());
}

double ConformalScores::p_high(double s) const {
  const auto least = sorted_.end() - std::ranges::lower_bound(sorted_, s);
  return static_cast<double>(1 + least) / static_cast<double>(1 + count());
}

double ConformalScores::p_two(double s) const {
  return std::min(1.0, 2.0 * std::min(p_low(s), p_high(s)));
}

double ConformalScores::threshold(double coverage) const {
  // A hair below, so that 0.9 of 99 + 1 is the 90th and not, by rounding, the 91st.
  const double place = std::ceil(static_cast<double>(count() + 1) * coverage - 1e-9);
  if (place > static_cast<double>(count())) return std::numeric_limits<double>::infinity();
  return sorted_[static_cast<size_t>(std::max(1.0, place)) - 1];
}

double fused_p(const std::vector<double>& p_values) {
  expect(!p_values.empty(), "fused_p: no p-values");
  return std::min(1.0, static_cast<double>(p_values.size()) * *std::ranges::min_element(p_values));
}

}  // namespace pal
