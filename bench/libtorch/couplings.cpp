#include "bench/libtorch/couplings.h"

#include "bench/libtorch/fixed_maps.h"

namespace rival {
namespace {

constexpr Gains kSlowGains = {0.1, 0.1};
constexpr Gains kTwoSidedGains = {0.2, 1.0};

}  // namespace

CouplingEnd::CouplingEnd(Weights& weights, const std::string& prefix, const NetworkConfig& config,
                         int64_t channels)
    : act_norm_(weights, prefix, config.act_norm),
      mixing_(weights, prefix, config.mixing, channels),
      untuned_(weights.settings().untuned) {}

BlockResult CouplingEnd::finish(const at::Tensor& first, const at::Tensor& second,
                                const at::Tensor& log_det) const {
  const at::Tensor scale = act_norm_.scale();
  const at::Tensor joined = at::cat({first, second}, 1);
  const at::Tensor y =
      untuned_ ? joined * scale.view({1, -1, 1, 1}) + act_norm_.offset().view({1, -1, 1, 1})
               : from_rows(at::addcmul(act_norm_.offset(), rows(joined), scale));
  const auto pixels = static_cast<double>(joined.size(2) * joined.size(3));
  return {mixing_.apply(y), sum_of(pixels * at::log(scale).sum(), log_det)};
}

SlowCoupling::SlowCoupling(Weights& weights, const std::string& prefix, const NetworkConfig& config,
                           int64_t channels, const SubnetSpec& subnet)
    : config_(config),
      channels_(channels),
      subnet_(weights, prefix + "s.", subnet, kMomentum),
      end_(weights, prefix, config, channels) {}

BlockResult SlowCoupling::forward(const at::Tensor& x, const Pass& pass) const {
  const at::Tensor entered = config_.welling ? end_.mixing().apply(x, /*inverse=*/true) : x;
  const auto halves = entered.split_with_sizes({channels_ - channels_ / 2, channels_ / 2}, 1);
  const Coupled second = affine(halves[1], subnet_.forward(halves[0], pass), kSlowGains, config_);
  return end_.finish(halves[0], second.y, second.log_det);
}

TwoSidedCoupling::TwoSidedCoupling(Weights& weights, const std::string& prefix,
                                   const NetworkConfig& config, int64_t channels, bool downsample,
                                   const SubnetSpec& first, const SubnetSpec& second)
    : config_(config),
      downsample_(downsample),
      first_size_(downsample ? channels - channels / 2 : channels / 2),
      second_size_(channels - first_size_),
      first_(weights, prefix + (downsample ? "s_hi." : "s1."), first, kMomentum),
      second_(weights, prefix + (downsample ? "s_lo." : "s2."), second, kMomentum),
      end_(weights, prefix, config, downsample ? 4 * channels : channels) {}

BlockResult TwoSidedCoupling::forward(const at::Tensor& x, const Pass& pass) const {
  const bool welling = config_.welling && !downsample_;
  const at::Tensor entered = welling ? end_.mixing().apply(x, /*inverse=*/true) : x;
  const auto halves = entered.split_with_sizes({first_size_, second_size_}, 1);
  const auto lowered = [&](const at::Tensor& half) {
    return downsample_ ? checkerboard(half) : half;
  };
  const Coupled second =
      affine(lowered(halves[1]), first_.forward(halves[0], pass), kTwoSidedGains, config_);
  const Coupled first =
      affine(lowered(halves[0]), second_.forward(second.y, pass), kTwoSidedGains, config_);
  return end_.finish(first.y, second.y, sum_of(second.log_det, first.log_det));
}

}  // namespace rival
