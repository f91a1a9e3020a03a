#include "experiments/explain/heatmap.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/loss/softmax_math.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr double kContrast = 0.03;

/// What each position gets of 1.
std::vector<double> shares(const std::vector<double>& saliency, Share share) {
  std::vector<double> parts(saliency.size(), 1.0);
  if (share == Share::proportional) parts = saliency;
  if (share == Share::contrast) {
    const auto [low, high] = std::ranges::minmax(saliency);
    // A map without contrast is shared evenly.
    for (size_t p = 0; p < parts.size(); ++p)
      parts[p] = (high > low ? (saliency[p] - low) / (high - low) : 0.0) + kContrast;
  }
  const double sum = std::accumulate(parts.begin(), parts.end(), 0.0);
  for (double& part : parts) part /= sum;
  return parts;
}

}  // namespace

PositionMaps::PositionMaps(std::span<const double> g, int64_t classes, Share share)
    : g_(g.begin(), g.end()) {
  expect(classes > 0 && !g.empty() && g.size() % static_cast<size_t>(classes) == 0,
         "PositionMaps: {} values of {} classes", g.size(), classes);
  const auto positions = g.size() / static_cast<size_t>(classes);
  const double log_prior = -std::log(static_cast<double>(classes));
  std::vector<double> sums(static_cast<size_t>(classes));
  for (size_t y = 0; y < sums.size(); ++y)
    for (size_t p = 0; p < positions; ++p) sums[y] += g_[y * positions + p];
  for (double& sum : sums) sum += log_prior;
  const double total = softmax_math::log_sum_exp(sums.data(), classes);
  log_posterior_ = sums;
  for (double& value : log_posterior_) value -= total;
  order_.resize(sums.size());
  std::iota(order_.begin(), order_.end(), 0);
  std::ranges::stable_sort(order_, [&](int32_t a, int32_t b) {
    return sums[static_cast<size_t>(a)] > sums[static_cast<size_t>(b)];
  });
  std::vector<double> here(sums.size());
  for (size_t p = 0; p < positions; ++p) {
    for (size_t y = 0; y < here.size(); ++y) here[y] = g_[y * positions + p] + log_prior;
    saliency_.push_back(-softmax_math::log_sum_exp(here.data(), classes));
  }
  shared_ = shares(saliency_, share);
  for (double& part : shared_) part *= total;
}

std::vector<double> PositionMaps::posterior(int32_t y) const {
  const size_t count = saliency_.size();
  const double prior = -std::log(static_cast<double>(classes())) / static_cast<double>(count);
  std::vector<double> map(count);
  for (size_t p = 0; p < count; ++p)
    map[p] = g_[static_cast<size_t>(y) * count + p] + prior - shared_[p];
  return map;
}

std::vector<double> PositionMaps::evidence(int32_t a, int32_t b) const {
  const size_t count = saliency_.size();
  std::vector<double> map(count);
  for (size_t p = 0; p < count; ++p)
    map[p] = g_[static_cast<size_t>(a) * count + p] - g_[static_cast<size_t>(b) * count + p];
  return map;
}

}  // namespace pal
