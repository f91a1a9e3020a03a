// How far the class means of a mixture lie apart, in double.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/common/check.h"
#include "kernels/common/lanes.h"
#include "kernels/loss/mixture.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

size_t at(int64_t i) { return static_cast<size_t>(i); }

/// prototypes prototypes^T [rank, rank] in double, over fixed ranges of columns added in a fixed
/// tree.
template <typename T>
std::vector<double> wide_gram(const Tensor& prototypes) {
  constexpr int64_t kColumns = 2048;
  const int64_t rank = prototypes.rows();
  const int64_t width = prototypes.channels();
  const int64_t parts = (width + kColumns - 1) / kColumns;
  std::vector<double> grams(at(parts * rank * rank));
  const T* values = prototypes.data<T>();
  parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t first = part * kColumns;
      const int64_t count = std::min(kColumns, width - first);
      double* gram = grams.data() + part * rank * rank;
      for (int64_t i = 0; i < rank; ++i)
        for (int64_t j = 0; j <= i; ++j) {
          const T* a = values + i * prototypes.pitch() + first;
          const T* b = values + j * prototypes.pitch() + first;
          const double sum =
              lane_sum(count, [a, b](int64_t c) { return widened(a[c]) * widened(b[c]); });
          gram[i * rank + j] = sum;
          gram[j * rank + i] = sum;
        }
    }
  });
  tree_sum(grams.data(), parts, rank * rank);
  grams.resize(at(rank * rank));
  return grams;
}

/// alpha gram [classes, rank] in double.
template <typename T>
std::vector<double> wide_alpha_gram(const Tensor& alpha, const std::vector<double>& gram) {
  const int64_t rank = alpha.channels();
  std::vector<double> result(at(alpha.rows() * rank));
  for (int64_t y = 0; y < alpha.rows(); ++y)
    for (int64_t k = 0; k < rank; ++k) {
      const double a = widened(alpha.data<T>()[y * rank + k]);
      for (int64_t j = 0; j < rank; ++j) result[at(y * rank + j)] += a * gram[at(k * rank + j)];
    }
  return result;
}

template <typename T>
double mean_distance_typed(const MixtureMeans& means) {
  const int64_t classes = means.classes();
  const int64_t width = means.mean_size();
  const int64_t rank = means.low_rank() ? means.alpha.channels() : 0;
  std::vector<double> alpha_gram;
  if (rank > 0) alpha_gram = wide_alpha_gram<T>(means.alpha, wide_gram<T>(means.prototypes));
  const T* mean = means.mean.data<T>();
  const T* alpha = rank > 0 ? means.alpha.data<T>() : nullptr;
  std::vector<double> sums(at(classes));
  parallel_for(classes, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for (int64_t j = i + 1; j < classes; ++j) {
        const T* a = mean + i * width;
        const T* b = mean + j * width;
        double square = lane_sum(width, [a, b](int64_t c) {
          const double difference = widened(a[c]) - widened(b[c]);
          return difference * difference;
        });
        // (alpha_i - alpha_j)^T G (alpha_i - alpha_j), from differences: nothing cancels.
        for (int64_t k = 0; k < rank; ++k)
          square += (widened(alpha[i * rank + k]) - widened(alpha[j * rank + k])) *
                    (alpha_gram[at(i * rank + k)] - alpha_gram[at(j * rank + k)]);
        // Rounding may leave a little below zero; NaN must stay.
        sums[at(i)] += std::sqrt(square < 0.0 ? 0.0 : square);
      }
  });
  tree_sum(sums.data(), classes, 1);
  return 2.0 * sums[0] / (static_cast<double>(classes) * static_cast<double>(classes - 1));
}

}  // namespace

double mean_distance(const MixtureMeans& means) {
  const char* op = "mean_distance";
  expect_rank(op, "mean", means.mean, 2);
  expect_dense(op, "mean", means.mean);
  if (means.low_rank()) {
    expect_tensor(op, "alpha", means.alpha, means.mean.shape().with_last(means.alpha.channels()),
                  means.mean.dtype());
    expect_rank(op, "prototypes", means.prototypes, 2);
    expect_tensor(op, "prototypes", means.prototypes,
                  {means.alpha.channels(), means.prototypes.channels()}, means.mean.dtype());
    expect_dense(op, "alpha", means.alpha);
  }
  if (means.classes() == 1) return 0.0;
  MixtureMeans here;
  here.mean = means.mean.to(Device());
  if (means.low_rank()) {
    here.alpha = means.alpha.to(Device());
    here.prototypes = means.prototypes.to(Device());
  }
  double distance = 0.0;
  dispatch_real(op, here.mean.dtype(),
                [&](auto typed) { distance = mean_distance_typed<decltype(typed)>(here); });
  return distance;
}

}  // namespace pal
