#include "bench/libtorch/coupling_parts.h"

#include <stdexcept>

namespace rival {

ActNorm::ActNorm(Weights& weights, const std::string& prefix, const std::string& kind)
    : gamma_(weights.parameter(prefix + "act_norm")),
      offset_(weights.parameter(prefix + "act_offset")),
      kind_(kind) {}

at::Tensor ActNorm::scale() const {
  if (kind_ == "softplus") return 0.1 * at::softplus(gamma_, 0.5);
  if (kind_ == "paper") return 0.1 * at::softplus(gamma_, 1.0);
  if (kind_ == "sigmoid") return 10.0 * at::sigmoid(gamma_ - 2.0);
  return at::exp(gamma_);
}

Mixing::Mixing(Weights& weights, const std::string& prefix, const std::string& kind,
               int64_t channels)
    : kind_(kind), untuned_(weights.settings().untuned) {
  if (kind == "permutation") {
    order_.emplace(weights.buffer(prefix + "w_index"));
  } else if (kind == "swap") {
    const at::Tensor counted = at::arange(channels, at::kLong).to(weights.settings().device);
    order_.emplace((counted + channels / 2).remainder(channels));
  } else if (kind == "orthogonal") {
    matrix_ = weights.buffer(prefix + "w");
  } else if (kind == "householder") {
    vectors_ = weights.parameter(prefix + "vk_householder");
    matrix_ = weights.buffer(prefix + "w_0");
  } else if (kind != "none") {
    throw std::runtime_error("mixing " + kind + " is not written for LibTorch");
  }
  if (order_ && untuned_)
    matrix_ = at::eye(channels, weights.settings().device).index_select(0, order_->index);
}

at::Tensor Mixing::matrix() const {
  at::Tensor w = matrix_;
  if (!vectors_.defined()) return w;
  for (const at::Tensor& v : vectors_.unbind(0))
    w = w - at::outer(at::mv(w, v), v * (2.0 / v.dot(v)));
  return w;
}

at::Tensor Mixing::apply(const at::Tensor& x, bool inverse) const {
  if (kind_ == "none") return x;
  if (order_ && !untuned_) {
    ChannelOrder order = *order_;
    if (inverse) std::swap(order.index, order.inverse);
    return from_rows(gather_last(rows(x), order));
  }
  // Orthogonal, so the inverse is the transpose.
  const at::Tensor w = inverse ? matrix().t() : matrix();
  return at::conv2d(x, w.unsqueeze(2).unsqueeze(3));
}

Coupled affine(const at::Tensor& x, const at::Tensor& coefficients, const Gains& gains,
               const NetworkConfig& config) {
  const auto halves = coefficients.to(at::kFloat).chunk(2, 1);
  at::Tensor log_s = config.clamp * at::tanh(gains.s * halves[0]);
  if (config.gin) log_s = log_s - log_s.mean({1, 2, 3}, /*keepdim=*/true);
  const at::Tensor shift = gains.t == 1.0 ? halves[1] : gains.t * halves[1];
  return {at::addcmul(shift, x, at::exp(log_s)), config.gin ? at::Tensor() : log_s.sum({1, 2, 3})};
}

}  // namespace rival
