#include "experiments/explain/dct_influence.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "experiments/explain/doubles.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {

DctInfluence::DctInfluence(const MixtureHead& head)
    : classes_(head.spec().classes), channels_(head.spec().mean_dims), side_(0) {
  const int64_t dims = head.spec().dims;
  side_ = std::llround(std::sqrt(static_cast<double>(dims / channels_)));
  for (int64_t y = 0; y < classes_; ++y) {
    const std::vector<double> mean = to_doubles(head.class_mean(y));
    means_.insert(means_.end(), mean.begin(), mean.end());
  }
  const auto n = static_cast<double>(classes_);
  for (int64_t f = 0; f < side_ * side_; ++f) {
    double sum = 0.0;
    for (int64_t d = f * channels_; d < (f + 1) * channels_; ++d) {
      double mean = 0.0, square = 0.0;
      for (int64_t y = 0; y < classes_; ++y) mean += means_[static_cast<size_t>(y * dims + d)] / n;
      for (int64_t y = 0; y < classes_; ++y)
        square += std::pow(means_[static_cast<size_t>(y * dims + d)] - mean, 2.0) / n;
      sum += std::sqrt(square);
    }
    influence_.push_back(sum / static_cast<double>(channels_));
  }
}

double DctInfluence::accuracy(const Tensor& z, const std::vector<int32_t>& labels,
                              int64_t kept) const {
  const int64_t dims = side_ * side_ * channels_;
  const int64_t count = z.size(0);
  expect(count == static_cast<int64_t>(labels.size()) && count > 0 && kept >= 0 &&
             kept <= side_ * side_,
         "accuracy: {} images, {} labels, {} components", count, labels.size(), kept);
  std::vector<int64_t> order(influence_.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) {
    return influence_[static_cast<size_t>(a)] > influence_[static_cast<size_t>(b)];
  });
  order.resize(static_cast<size_t>(kept));
  const std::vector<double> latents = to_doubles(z);
  std::vector<int64_t> right(static_cast<size_t>(count));
  parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      // Entries that are the same for all classes do not decide.
      double least = std::numeric_limits<double>::infinity();
      int64_t nearest = 0;
      for (int64_t y = 0; y < classes_; ++y) {
        double squared = 0.0;
        for (const int64_t f : order)
          for (int64_t d = f * channels_; d < (f + 1) * channels_; ++d)
            squared += std::pow(latents[static_cast<size_t>(i * dims + d)] -
                                    means_[static_cast<size_t>(y * dims + d)],
                                2.0);
        if (squared < least) {
          least = squared;
          nearest = y;
        }
      }
      right[static_cast<size_t>(i)] = nearest == labels[static_cast<size_t>(i)] ? 1 : 0;
    }
  });
  return static_cast<double>(std::accumulate(right.begin(), right.end(), int64_t{0})) /
         static_cast<double>(count);
}

}  // namespace pal
