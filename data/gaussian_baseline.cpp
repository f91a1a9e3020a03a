#include "data/gaussian_baseline.h"

#include <algorithm>
#include <cmath>

#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

constexpr double kLevels = 255.0;
/// Mean and variance of uniform noise on [0, 1), in levels.
constexpr double kNoiseMean = 0.5;
constexpr double kNoiseVariance = 1.0 / 12.0;

}  // namespace

GaussianBaseline fit_gaussian(const ImageSet& set) {
  expect(set.count > 0, "fit_gaussian: {} has no images", set.name);
  const int64_t size = set.image_size();
  GaussianBaseline fit;
  fit.mean.resize(static_cast<size_t>(size));
  fit.variance.resize(static_cast<size_t>(size));
  // Levels add up exactly in integers, so any order gives the same moments.
  std::vector<int64_t> sums(static_cast<size_t>(2 * size));
  parallel_for(size, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < set.count; ++i) {
      const uint8_t* levels = &set.pixels[static_cast<size_t>(i * size)];
      for (int64_t d = begin; d < end; ++d) {
        const int64_t level = levels[d];
        sums[static_cast<size_t>(d)] += level;
        sums[static_cast<size_t>(size + d)] += level * level;
      }
    }
  });
  const auto count = static_cast<double>(set.count);
  for (size_t d = 0; d < fit.mean.size(); ++d) {
    const double mean = static_cast<double>(sums[d]) / count;
    const double square = static_cast<double>(sums[d + fit.mean.size()]) / count;
    fit.mean[d] = (mean + kNoiseMean) / kLevels;
    fit.variance[d] = (std::max(0.0, square - mean * mean) + kNoiseVariance) / (kLevels * kLevels);
  }
  return fit;
}

double bits_per_dim(const GaussianBaseline& baseline, const ImageSet& set) {
  expect(static_cast<int64_t>(baseline.mean.size()) == set.image_size(),
         "bits_per_dim: a Gaussian of {} values for {} with {}", baseline.mean.size(), set.name,
         set.image_size());
  // Quadratic in x, so the mean over images needs their moments only.
  const GaussianBaseline data = fit_gaussian(set);
  double nats = 0.0;
  for (size_t d = 0; d < data.mean.size(); ++d) {
    const double offset = data.mean[d] - baseline.mean[d];
    const double variance = baseline.variance[d];
    nats += 0.5 * std::log(2.0 * M_PI * variance) +
            0.5 * (data.variance[d] + offset * offset) / variance + std::log(kLevels);
  }
  return nats / static_cast<double>(data.mean.size()) / std::log(2.0);
}

}  // namespace pal
