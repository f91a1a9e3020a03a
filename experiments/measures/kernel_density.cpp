#include "experiments/measures/kernel_density.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "experiments/measures/calibration.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr size_t kMostKernels = 1000;

double silverman_width(const std::vector<double>& sorted) {
  const auto n = static_cast<double>(sorted.size());
  const double mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) / n;
  double square = 0.0;
  for (const double x : sorted) square += (x - mean) * (x - mean);
  const double deviation = std::sqrt(square / n);
  const double quartiles = (sorted_quantile(sorted, 0.75) - sorted_quantile(sorted, 0.25)) / 1.34;
  // Half of the values may be equal, or all.
  const double spread = quartiles > 0.0 ? std::min(deviation, quartiles) : deviation;
  constexpr double kLeast = 1e-6;
  return std::max(0.9 * spread * std::pow(n, -0.2), kLeast * std::max(1.0, std::abs(mean)));
}

}  // namespace

KernelDensity::KernelDensity(std::vector<double> sample) {
  expect(!sample.empty(), "KernelDensity: no values");
  for (const double x : sample)
    if (!std::isfinite(x)) fail(ErrorKind::numerics, "KernelDensity: a value is not finite");
  std::ranges::sort(sample);
  width_ = silverman_width(sample);
  const size_t count = std::min(kMostKernels, sample.size());
  for (size_t i = 0; i < count; ++i)
    centres_.push_back(sample[(2 * i + 1) * sample.size() / (2 * count)]);
}

double KernelDensity::log_density(double x) const {
  const auto exponent = [&](double centre) {
    const double u = (x - centre) / width_;
    return -0.5 * u * u;
  };
  // The nearest kernel counts most, so that its term may be taken out of the sum.
  const auto above = std::ranges::lower_bound(centres_, x);
  double most = above == centres_.end() ? exponent(centres_.back()) : exponent(*above);
  if (above != centres_.begin()) most = std::max(most, exponent(*std::prev(above)));
  double sum = 0.0;
  for (const double centre : centres_) sum += std::exp(exponent(centre) - most);
  return most + std::log(sum / static_cast<double>(centres_.size())) - std::log(width_) -
         0.5 * std::log(2.0 * std::numbers::pi);
}

}  // namespace pal
