#include "bench/libtorch/fixed_maps.h"

#include <cmath>
#include <numbers>

namespace rival {
namespace {

constexpr double kRebalance = 0.5;

at::Tensor part(const at::Tensor& x, int64_t row, int64_t column) {
  return x.slice(2, row, std::nullopt, 2).slice(3, column, std::nullopt, 2);
}

/// The DCT-II of one direction, float64 [n, n]; both directions together divide by 4 (n + 1) in the
/// reference flavour.
at::Tensor dct_basis(int64_t n, bool orthonormal) {
  const at::Tensor k = at::arange(n, at::kDouble);
  at::Tensor basis = 2.0 * at::cos(at::outer(k, 2.0 * k + 1.0) *
                                   (std::numbers::pi / (2.0 * static_cast<double>(n))));
  if (orthonormal) return basis / at::linalg_vector_norm(basis, 2, 1, /*keepdim=*/true);
  return basis / (2.0 * std::sqrt(static_cast<double>(n + 1)));
}

double dct_log_det(const NetworkConfig& config, int64_t size, int64_t channels) {
  if (config.dct == "orthonormal") return 0.0;
  const auto n = static_cast<double>(size);
  const auto c = static_cast<double>(channels);
  if (config.dct_reported) return c * n * n * std::log(kRebalance);
  return c * (n * n * std::log(kRebalance * n / (n + 1.0)) + n * std::log(2.0));
}

}  // namespace

at::Tensor checkerboard(const at::Tensor& x) {
  const int64_t n = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
  return from_rows(rows(x)
                       .reshape({n, h / 2, 2, w / 2, 2, c})
                       .permute({0, 1, 3, 5, 2, 4})
                       .reshape({n, h / 2, w / 2, 4 * c}));
}

Haar::Haar(const Settings& settings, int64_t channels) {
  if (!settings.untuned) return;
  const at::Tensor patterns =
      at::tensor({1., 1., 1., 1., 1., -1., 1., -1., 1., 1., -1., -1., 1., -1., -1., 1.});
  kernels_ = (0.5 * kRebalance * patterns)
                 .to(at::kFloat)
                 .view({1, 4, 1, 2, 2})
                 .expand({channels, 4, 1, 2, 2})
                 .reshape({4 * channels, 1, 2, 2})
                 .to(settings.device);
}

BlockResult Haar::forward(const at::Tensor& x, const Pass&) const {
  const int64_t n = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
  const at::Tensor log_det = at::full({n}, std::log(kRebalance) * static_cast<double>(c * h * w),
                                      x.options().dtype(at::kFloat));
  if (kernels_.defined()) {
    const at::Tensor by_channel = at::conv2d(x, kernels_, std::nullopt, at::IntArrayRef(2),
                                             at::IntArrayRef(0), at::IntArrayRef(1), c);
    return {by_channel.reshape({n, c, 4, h / 2, w / 2})
                .transpose(1, 2)
                .reshape({n, 4 * c, h / 2, w / 2}),
            log_det};
  }
  const at::Tensor a = part(x, 0, 0), b = part(x, 0, 1);
  const at::Tensor d = part(x, 1, 0), e = part(x, 1, 1);
  const at::Tensor top = a + b, bottom = d + e, left = a - b, right = d - e;
  const at::Tensor y = at::cat({top + bottom, left + right, top - bottom, left - right}, 1);
  return {0.5 * kRebalance * y, log_det};
}

DctPooling::DctPooling(const Settings& settings, const NetworkConfig& config, int64_t size,
                       int64_t channels) {
  const at::Tensor basis = dct_basis(size, config.dct == "orthonormal");
  // Row kw * size + kh, column h * size + w.
  matrix_ = at::einsum("kh,lw->lkhw", {basis, basis})
                .reshape({size * size, size * size})
                .to(settings.device, at::kFloat);
  log_det_ = at::full({}, dct_log_det(config, size, channels),
                      at::TensorOptions(at::kFloat).device(settings.device));
}

BlockResult DctPooling::forward(const at::Tensor& x, const Pass&) const {
  const at::Tensor pixels = rows(x).reshape({x.size(0), -1, x.size(1)});
  return {at::matmul(matrix_, pixels).flatten(1), log_det_};
}

LatentNorm::LatentNorm(Weights& weights, const std::string& prefix, const std::string& kind)
    : act_norm_(weights, prefix, kind) {}

BlockResult LatentNorm::forward(const at::Tensor& x, const Pass&) const {
  const at::Tensor scale = act_norm_.scale();
  return {at::addcmul(act_norm_.offset(), x, scale), at::log(scale).sum()};
}

}  // namespace rival
