#include "experiments/explain/dct_influence.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

/// Columns `first` to first + count - 1 of rows of some length.
std::vector<double> columns_of(const std::vector<double>& rows, int64_t length, int64_t first,
                               int64_t count) {
  std::vector<double> columns;
  for (auto row = rows.begin(); row != rows.end(); row += length)
    columns.insert(columns.end(), row + first, row + first + count);
  return columns;
}

std::vector<double> transposed(const std::vector<double>& rows, int64_t count) {
  const auto length = static_cast<int64_t>(rows.size()) / count;
  std::vector<double> out(rows.size());
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < length; ++j)
      out[static_cast<size_t>(j * count + i)] = rows[static_cast<size_t>(i * length + j)];
  return out;
}

/// The covariance over rows [count, n] of their columns, [n, n].
std::vector<double> covariance(const std::vector<double>& rows, int64_t count) {
  std::vector<double> columns = transposed(rows, count);
  const auto n = static_cast<int64_t>(columns.size()) / count;
  for (auto column = columns.begin(); column != columns.end(); column += count) {
    const double mean = std::accumulate(column, column + count, 0.0) / static_cast<double>(count);
    for (auto value = column; value != column + count; ++value) *value -= mean;
  }
  std::vector<double> products(static_cast<size_t>(n * n));
  dot_products(columns.data(), n, columns.data(), n, count, products.data());
  for (double& value : products) value /= static_cast<double>(count);
  return products;
}

}  // namespace

DctInfluence::DctInfluence(const MixtureHead& head)
    : classes_(head.spec().classes), channels_(head.spec().mean_dims), side_(0), rank_(0) {
  DoubleMeans means(head.means());
  const int64_t frequencies = head.spec().dims / channels_;
  side_ = std::llround(std::sqrt(static_cast<double>(frequencies)));
  rank_ = means.rank;
  alpha_ = std::move(means.alpha);
  for (int64_t f = 0; f < frequencies; ++f)
    add_frequency(combined(f) ? columns_of(means.prototypes, (frequencies - 1) * channels_,
                                           (f - 1) * channels_, channels_)
                              : columns_of(means.mean, means.width, f * channels_, channels_));
}

void DctInfluence::add_frequency(std::vector<double> rows) {
  const auto f = static_cast<int64_t>(rows_.size());
  std::vector<double> variances, norms;  // by channel; by class
  if (combined(f)) {
    // mu_y = alpha_y P: its variances and norms are quadratic forms.
    variances =
        quadratic_forms(transposed(rows, rank_), channels_, covariance(alpha_, classes_), rank_);
    std::vector<double> gram(static_cast<size_t>(rank_ * rank_));
    dot_products(rows.data(), rank_, rows.data(), rank_, channels_, gram.data());
    norms = quadratic_forms(alpha_, classes_, gram, rank_);
  } else {
    for (int64_t c = 0; c < channels_; ++c) {
      const std::vector<double> column = columns_of(rows, channels_, c, 1);
      variances.push_back(covariance(column, classes_)[0]);
    }
    for (auto row = rows.begin(); row != rows.end(); row += channels_)
      norms.push_back(std::inner_product(row, row + channels_, row, 0.0));
  }
  const auto finite = [](double value) { return std::isfinite(value); };
  if (!std::ranges::all_of(variances, finite) || !std::ranges::all_of(norms, finite))
    fail(ErrorKind::numerics, "a class mean is not finite; the model has diverged");
  double sum = 0.0;
  for (const double variance : variances) sum += std::sqrt(std::max(0.0, variance));
  influence_.push_back(sum / static_cast<double>(channels_));
  for (double& norm : norms) norm *= 0.5;
  half_norms_.push_back(std::move(norms));
  rows_.push_back(std::move(rows));
}

std::vector<int64_t> DctInfluence::count_right(const Tensor& z, const std::vector<int32_t>& labels,
                                               const std::vector<int64_t>& kept) const {
  const int64_t dims = side_ * side_ * channels_, count = z.size(0);
  expect(count == static_cast<int64_t>(labels.size()) && count > 0 && !kept.empty() &&
             std::ranges::is_sorted(kept) && kept.front() >= 1 && kept.back() <= side_ * side_,
         "count_right: {} images, {} labels, up to {} components", count, labels.size(),
         kept.empty() ? 0 : kept.back());
  std::vector<int64_t> order(influence_.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) {
    return influence_[static_cast<size_t>(a)] > influence_[static_cast<size_t>(b)];
  });
  const std::vector<double> latents = to_doubles(z);
  std::vector<char> right(kept.size() * labels.size());
  parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> projection(static_cast<size_t>(rank_)), part(half_norms_[0].size());
    for (int64_t i = begin; i < end; ++i) {
      // Entries that are the same for all classes do not decide, so scores add up.
      std::vector<double> scores(part.size());
      size_t next = 0;
      for (int64_t k = 0; next < kept.size(); ++k) {
        const auto f = static_cast<size_t>(order[static_cast<size_t>(k)]);
        const double* own =
            &latents[static_cast<size_t>(i * dims) + f * static_cast<size_t>(channels_)];
        if (combined(static_cast<int64_t>(f))) {
          dot_products(own, 1, rows_[f].data(), rank_, channels_, projection.data());
          dot_products(projection.data(), 1, alpha_.data(), classes_, rank_, part.data());
        } else {
          dot_products(own, 1, rows_[f].data(), classes_, channels_, part.data());
        }
        for (size_t y = 0; y < scores.size(); ++y) scores[y] += part[y] - half_norms_[f][y];
        for (; next < kept.size() && kept[next] == k + 1; ++next)
          right[next * labels.size() + static_cast<size_t>(i)] =
              std::ranges::max_element(scores) - scores.begin() == labels[static_cast<size_t>(i)];
      }
    }
  });
  std::vector<int64_t> counts;
  for (size_t k = 0; k < kept.size(); ++k) {
    const auto first = right.begin() + static_cast<std::ptrdiff_t>(k * labels.size());
    counts.push_back(std::count(first, first + count, 1));
  }
  return counts;
}

}  // namespace pal
