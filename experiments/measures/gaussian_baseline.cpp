#include "experiments/measures/gaussian_baseline.h"

#include <algorithm>
#include <cmath>

#include "experiments/measures/metrics.h"
#include "experiments/measures/shared_images.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

constexpr int64_t kFitBatch = 256;
/// Mean and variance of uniform noise on [0, 1), in levels.
constexpr double kNoiseMean = 0.5;
constexpr double kNoiseVariance = 1.0 / 12.0;

/// Of images with `size` values: the sums of each value's levels, of their squares, and the number
/// of images.
std::vector<int64_t> level_sums(const Batch& batch, int64_t size) {
  const int64_t count = batch.images.size(0);
  std::vector<int64_t> sums(static_cast<size_t>(2 * size));
  const auto* values = batch.images.data<float>();
  parallel_for(size, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < count; ++i)
      for (int64_t d = begin; d < end; ++d) {
        const auto level = static_cast<int64_t>(std::lround(values[i * size + d] * kLevels));
        sums[static_cast<size_t>(d)] += level;
        sums[static_cast<size_t>(size + d)] += level * level;
      }
  });
  sums.push_back(count);
  return sums;
}

}  // namespace

GaussianBaseline fit_gaussian(const Dataset& set, LoaderOptions options, Communicator* ranks) {
  const auto channels = static_cast<size_t>(set.info().channels);
  options.noise = false;
  options.mean.assign(channels, 0.0F);
  options.std.assign(channels, 1.0F);
  options.device = Device();
  options.batch_size = kFitBatch;
  const int64_t size = set.info().height * set.info().width * set.info().channels;
  // Levels add up exactly in integers, so any order gives the same moments.
  std::vector<int64_t> sums(static_cast<size_t>(2 * size));
  int64_t images = 0;
  share_images(
      {.set = set,
       .indices = {},
       .options = evaluation_options(options),
       .ranks = ranks,
       .stop = {}},
      [&](const Batch& batch) { return Message().add(level_sums(batch, size)); },
      [&](Message& message) {
        const auto said = message.take<int64_t>();
        for (size_t d = 0; d < sums.size(); ++d) sums[d] += said[d];
        images += said.back();
      });
  GaussianBaseline fit;
  for (int64_t d = 0; d < size; ++d) {
    const double mean =
        static_cast<double>(sums[static_cast<size_t>(d)]) / static_cast<double>(images);
    const double square =
        static_cast<double>(sums[static_cast<size_t>(size + d)]) / static_cast<double>(images);
    fit.mean.push_back((mean + kNoiseMean) / kLevels);
    fit.variance.push_back((std::max(0.0, square - mean * mean) + kNoiseVariance) /
                           (kLevels * kLevels));
  }
  return fit;
}

double bits_per_dim(const GaussianBaseline& baseline, const GaussianBaseline& data) {
  expect(baseline.mean.size() == data.mean.size(),
         "bits_per_dim: a Gaussian of {} values for images of {}", baseline.mean.size(),
         data.mean.size());
  // Quadratic in x, so the mean over images needs their moments only.
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
