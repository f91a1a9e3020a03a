#include "experiments/explain/position_head.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "experiments/explain/doubles.h"
#include "kernels/arrays/reduce.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {

PositionHead::PositionHead(const MixtureMeans& means, int64_t dims, int64_t channels)
    : means_(means), dims_(dims), channels_(channels), side_(0) {
  expect(channels > 0 && dims % channels == 0, "PositionHead: {} dimensions of {} channels", dims,
         channels);
  side_ = std::llround(std::sqrt(static_cast<double>(dims / channels)));
  expect(side_ * side_ * channels == dims,
         "PositionHead: {} dimensions are no square map of {} channels", dims, channels);
  const int64_t width = means_.rank == 0 ? dims : channels;
  expect(means_.width == width, "PositionHead: {} means of {} dimensions, expected {}",
         means_.rank == 0 ? "full-rank" : "pooled", means_.width, width);
  const auto n = static_cast<double>(side_);
  for (int64_t i = 0; i < side_; ++i)
    for (int64_t k = 0; k < side_; ++k)
      basis_.push_back(std::sqrt((k == 0 ? 1.0 : 2.0) / n) *
                       std::cos(M_PI * static_cast<double>((2 * i + 1) * k) / (2.0 * n)));
  if (means_.rank > 0) prepare_constants();
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
  constants_.resize(static_cast<size_t>(positions * classes()));
  // The pooled part is the same at every position, but for a weight.
  std::vector<double> norms;
  for (int64_t y = 0; y < classes(); ++y) {
    const double* const mean = &means_.mean[static_cast<size_t>(y * channels_)];
    norms.push_back(std::inner_product(mean, mean + channels_, mean, 0.0));
  }
  parallel_for(positions, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> prototypes;
    std::vector<double> gram(static_cast<size_t>(means_.rank * means_.rank));
    std::vector<double> crossed(static_cast<size_t>(classes() * means_.rank));
    for (int64_t p = begin; p < end; ++p) {
      rotate(means_.prototypes.data(), means_.rank, 1, p, prototypes);
      dot_products(prototypes.data(), means_.rank, prototypes.data(), means_.rank, channels_,
                   gram.data());
      dot_products(means_.mean.data(), classes(), prototypes.data(), means_.rank, channels_,
                   crossed.data());
      const std::vector<double> rest = quadratic_forms(means_.alpha, classes(), gram, means_.rank);
      const double pooled = weight(p / side_, p % side_, 0, 0);
      for (int64_t y = 0; y < classes(); ++y) {
        const double* const alpha = &means_.alpha[static_cast<size_t>(y * means_.rank)];
        const double both = std::inner_product(alpha, alpha + means_.rank,
                                               &crossed[static_cast<size_t>(y * means_.rank)], 0.0);
        constants_[static_cast<size_t>(p * classes() + y)] =
            pooled * pooled * norms[static_cast<size_t>(y)] + 2.0 * pooled * both +
            rest[static_cast<size_t>(y)];
      }
    }
  });
}

void PositionHead::place(const double* own, int64_t count, int64_t position, double* values) const {
  std::vector<double> means;
  std::vector<double> pooled_scores(static_cast<size_t>(count * classes()));
  std::vector<double> projections(static_cast<size_t>(count * means_.rank));
  std::vector<double> scores(static_cast<size_t>(count * classes()));
  if (means_.rank == 0) {
    rotate(means_.mean.data(), classes(), 0, position, means);
  } else {
    rotate(means_.prototypes.data(), means_.rank, 1, position, means);
    dot_products(own, count, means_.mean.data(), classes(), channels_, pooled_scores.data());
    dot_products(own, count, means.data(), means_.rank, channels_, projections.data());
    dot_products(projections.data(), count, means_.alpha.data(), classes(), means_.rank,
                 scores.data());
  }
  const double pooled = weight(position / side_, position % side_, 0, 0);
  for (int64_t i = 0; i < count; ++i) {
    const double* const image = own + i * channels_;
    const double norm = std::inner_product(image, image + channels_, image, 0.0);
    for (int64_t y = 0; y < classes(); ++y) {
      const auto at = static_cast<size_t>(i * classes() + y);
      double squared = 0.0;
      if (means_.rank == 0)
        for (int64_t c = 0; c < channels_; ++c)
          squared += std::pow(image[c] - means[static_cast<size_t>(y * channels_ + c)], 2.0);
      else
        squared = norm + constants_[static_cast<size_t>(position * classes() + y)] -
                  2.0 * pooled * pooled_scores[at] - 2.0 * scores[at];
      values[static_cast<int64_t>(at) * side_ * side_ + position] = -0.5 * squared;
    }
  }
}

Tensor PositionHead::log_densities(const Tensor& z) const {
  const int64_t count = z.size(0);
  expect(z.numel() == count * dims_, "PositionHead: {} latent values for {} images of {}",
         z.numel(), count, dims_);
  const std::vector<double> latents = to_doubles(z);
  const Tensor out =
      Tensor::empty({count, classes(), side_, side_}, DType::f64, Tag::workspace, Device());
  auto* const values = out.data<double>();
  parallel_for(side_ * side_, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> own;
    for (int64_t p = begin; p < end; ++p) {
      rotate(latents.data(), count, 0, p, own);
      place(own.data(), count, p, values);
    }
  });
  if (!cpu::all_finite(out))
    fail(ErrorKind::numerics, "a class mean is not finite; the model has diverged");
  return out;
}

}  // namespace pal
