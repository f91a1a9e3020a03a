#include "experiments/measures/risk_coverage.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "experiments/measures/ood_score.h"
#include "runtime/error.h"

namespace pal {

std::vector<double> risk_by_coverage(const std::vector<ImageResult>& results) {
  std::vector<size_t> order(results.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(
      order, [&](size_t a, size_t b) { return results[a].confidence > results[b].confidence; });
  std::vector<double> risk;
  double errors = 0.0;
  for (const size_t i : order) {
    errors += results[i].rank == 0 ? 0.0 : 1.0;
    risk.push_back(errors / static_cast<double>(risk.size() + 1));
  }
  return risk;
}

double aurc(const std::vector<ImageResult>& results) {
  expect(!results.empty(), "aurc: no images");
  const std::vector<double> risk = risk_by_coverage(results);
  return std::accumulate(risk.begin(), risk.end(), 0.0) / static_cast<double>(risk.size());
}

double error_auc(const std::vector<ImageResult>& results) {
  std::vector<double> errors, right;
  for (const ImageResult& r : results) (r.rank == 0 ? right : errors).push_back(-r.confidence);
  if (errors.empty() || right.empty()) return std::numeric_limits<double>::quiet_NaN();
  return rank_auc(errors, right);
}

}  // namespace pal
