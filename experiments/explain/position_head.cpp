#include "experiments/explain/position_head.h"

#include <algorithm>
#include <cmath>

#include "experiments/explain/doubles.h"
#include "kernels/arrays/reduce.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

double dot(const double* a, const double* b, int64_t count) {
  // Four sums, so that the compiler may use wide registers without changing the order of one.
  double sum[4] = {};
  int64_t i = 0;
  for (; i + 4 <= count; i += 4)
    for (int64_t j = 0; j < 4; ++j) sum[j] += a[i + j] * b[i + j];
  for (; i < count; ++i) sum[0] += a[i] * b[i];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

}  // namespace

PositionHead::PositionHead(const MixtureMeans& means, int64_t dims, int64_t channels)
    : classes_(means.classes()), dims_(dims), channels_(channels), side_(0), rank_(0) {
  expect(channels > 0 && dims % channels == 0, "PositionHead: {} dimensions of {} channels", dims,
         channels);
  side_ = std::llround(std::sqrt(static_cast<double>(dims / channels)));
  expect(side_ * side_ * channels == dims,
         "PositionHead: {} dimensions are no square map of {} channels", dims, channels);
  mean_ = to_doubles(means.mean);
  const int64_t width = means.mean_size();
  if (means.permutation.defined()) {
    const Tensor order = means.permutation.to(Device());
    const std::vector<double> ordered = mean_;
    for (int64_t y = 0; y < classes_; ++y)
      for (int64_t i = 0; i < order.numel(); ++i)
        mean_[static_cast<size_t>(y * width + order.data<int32_t>()[i])] =
            ordered[static_cast<size_t>(y * width + i)];
  }
  const auto n = static_cast<double>(side_);
  for (int64_t i = 0; i < side_; ++i)
    for (int64_t k = 0; k < side_; ++k)
      basis_.push_back(std::sqrt((k == 0 ? 1.0 : 2.0) / n) *
                       std::cos(M_PI * static_cast<double>((2 * i + 1) * k) / (2.0 * n)));
  if (!means.low_rank()) {
    expect(width == dims, "PositionHead: full-rank means of {} dimensions, expected {}", width,
           dims);
    return;
  }
  expect(width == channels, "PositionHead: pooled means of {} dimensions, expected {}", width,
         channels);
  rank_ = means.alpha.size(1);
  alpha_ = to_doubles(means.alpha);
  prototypes_ = to_doubles(means.prototypes);
  prepare_constants();
}

double PositionHead::weight(int64_t row, int64_t column, int64_t kw, int64_t kh) const {
  return basis_[static_cast<size_t>(row * side_ + kh)] *
         basis_[static_cast<size_t>(column * side_ + kw)];
}

void PositionHead::rotate(const double* rows, int64_t count, int64_t first, int64_t position,
                          std::vector<double>& out) const {
  const int64_t frequencies = side_ * side_;
  const int64_t pitch = (frequencies - first) * channels_;
  out.assign(static_cast<size_t>(count * channels_), 0.0);
  for (int64_t i = 0; i < count; ++i) {
    double* const to = &out[static_cast<size_t>(i * channels_)];
    for (int64_t f = first; f < frequencies; ++f) {
      const double part = weight(position / side_, position % side_, f / side_, f % side_);
      const double* const from = rows + i * pitch + (f - first) * channels_;
      for (int64_t c = 0; c < channels_; ++c) to[c] += part * from[c];
    }
  }
}

void PositionHead::prepare_constants() {
  const int64_t positions = side_ * side_;
  constants_.resize(static_cast<size_t>(positions * classes_));
  parallel_for(positions, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> prototypes;
    std::vector<double> mean(static_cast<size_t>(channels_));
    for (int64_t p = begin; p < end; ++p) {
      rotate(prototypes_.data(), rank_, 1, p, prototypes);
      for (int64_t y = 0; y < classes_; ++y) {
        // The pooled part is the same at every position.
        for (int64_t c = 0; c < channels_; ++c)
          mean[static_cast<size_t>(c)] =
              weight(p / side_, p % side_, 0, 0) * mean_[static_cast<size_t>(y * channels_ + c)];
        for (int64_t k = 0; k < rank_; ++k) {
          const double share = alpha_[static_cast<size_t>(y * rank_ + k)];
          const double* const from = &prototypes[static_cast<size_t>(k * channels_)];
          for (int64_t c = 0; c < channels_; ++c) mean[static_cast<size_t>(c)] += share * from[c];
        }
        constants_[static_cast<size_t>(p * classes_ + y)] =
            dot(mean.data(), mean.data(), channels_);
      }
    }
  });
}

Tensor PositionHead::log_densities(const Tensor& z) const {
  const int64_t count = z.size(0);
  expect(z.numel() == count * dims_, "PositionHead: {} latent values for {} images of {}",
         z.numel(), count, dims_);
  const std::vector<double> latents = to_doubles(z);
  const int64_t positions = side_ * side_;
  const Tensor out =
      Tensor::empty({count, classes_, side_, side_}, DType::f64, Tag::workspace, Device());
  auto* const values = out.data<double>();
  parallel_for(positions, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> w, means;
    for (int64_t p = begin; p < end; ++p) {
      rotate(latents.data(), count, 0, p, w);
      // At full rank the rotated means, else the rotated prototypes.
      if (rank_ == 0)
        rotate(mean_.data(), classes_, 0, p, means);
      else
        rotate(prototypes_.data(), rank_, 1, p, means);
      std::vector<double> projection(static_cast<size_t>(rank_));
      const double pooled = weight(p / side_, p % side_, 0, 0);
      for (int64_t i = 0; i < count; ++i) {
        const double* const own = &w[static_cast<size_t>(i * channels_)];
        const double norm = dot(own, own, channels_);
        for (int64_t k = 0; k < rank_; ++k)
          projection[static_cast<size_t>(k)] =
              dot(own, &means[static_cast<size_t>(k * channels_)], channels_);
        for (int64_t y = 0; y < classes_; ++y) {
          double squared = 0.0;
          if (rank_ == 0) {
            const double* const mean = &means[static_cast<size_t>(y * channels_)];
            for (int64_t c = 0; c < channels_; ++c)
              squared += (own[c] - mean[c]) * (own[c] - mean[c]);
          } else {
            squared =
                norm + constants_[static_cast<size_t>(p * classes_ + y)] -
                2.0 * pooled * dot(own, &mean_[static_cast<size_t>(y * channels_)], channels_) -
                2.0 * dot(projection.data(), &alpha_[static_cast<size_t>(y * rank_)], rank_);
          }
          values[(i * classes_ + y) * positions + p] = -0.5 * squared;
        }
      }
    }
  });
  if (!cpu::all_finite(out))
    fail(ErrorKind::numerics, "a class mean is not finite; the model has diverged");
  return out;
}

}  // namespace pal
