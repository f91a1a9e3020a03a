#include "layers/act_norm.h"

#include <algorithm>
#include <cmath>

#include "autograd/variable.h"
#include "kernels/arrays/host_values.h"

namespace pal {
namespace {

double initial_gamma(const ActNormSpec& spec) {
  switch (spec.kind) {
    case ActNormKind::sigmoid:
      return 2.0 + std::log(spec.initial / (10.0 - spec.initial));
    case ActNormKind::exponential:
      return std::log(spec.initial);
    case ActNormKind::softplus:
    case ActNormKind::paper:
      break;
  }
  return 10.0 * spec.initial;
}

/// The gamma of a scale: the inverse of scale_of.
double gamma_of(double scale, ActNormKind kind) {
  // log(e^z - 1), the inverse of softplus, without overflow.
  const auto inverse_softplus = [](double z) { return z > 30.0 ? z : std::log(std::expm1(z)); };
  switch (kind) {
    case ActNormKind::softplus:
      return inverse_softplus(5.0 * scale) / 0.5;
    case ActNormKind::paper:
      return inverse_softplus(10.0 * scale);
    case ActNormKind::sigmoid:
      return 2.0 + std::log(scale / (10.0 - scale));
    case ActNormKind::exponential:
      break;
  }
  return std::log(scale);
}

}  // namespace

ActNorm::ActNorm(int64_t channels, const ActNormSpec& spec)
    : spec_(spec),
      gamma_({channels}, Init::constant(initial_gamma(spec))),
      offset_({channels}, Init::constant(0.0)) {
  expect(spec.initial > 0.0 && (spec.kind != ActNormKind::sigmoid || spec.initial < 10.0),
         "act_norm: expected an initial scale above 0 (below 10 for sigmoid), got {}",
         spec.initial);
}

void ActNorm::collect(const std::string& prefix, StateList& state) {
  state.add(prefix + "act_norm", gamma_);
  state.add(prefix + "act_offset", offset_);
}

ActNorm::Values ActNorm::evaluate() const {
  if (known_version_ == gamma_.shadow.version) return known_;
  const Tensor& gamma = gamma_.value;
  Values values;
  values.scale = Tensor::empty(gamma.shape(), gamma.dtype(), Tag::workspace, gamma.device());
  values.offset = offset_.value;
  values.log_scale_sum = Tensor::empty({1}, DType::f64, Tag::workspace, gamma.device());
  PAL_BACKEND(gamma, act_norm_scale(gamma, spec_.kind, values.scale, values.log_scale_sum));
  check(values);
  return values;
}

void ActNorm::set_values(const Values& values) {
  check(values);
  known_ = values;
  known_version_ = gamma_.shadow.version;
}

void ActNorm::check(const Values& values) const {
  if (!values.scale.device().is_cpu() || std::isfinite(values.log_scale_sum.item())) return;
  const std::vector<double> scales = host_values(values.scale);
  for (size_t c = 0; c < scales.size(); ++c)
    if (!(scales[c] > 0.0) || !std::isfinite(scales[c]))
      fail(ErrorKind::numerics, "{}: the scale of channel {} is {}", gamma_.name, c,
           std::isnan(scales[c]) ? "not a number" : fmt::format("{}", scales[c]));
}

void ActNorm::fit(const ChannelMoments& moments, double deviation, const FitLimits& limits) {
  const std::vector<double>& means = moments.mean();
  const std::vector<double>& variances = moments.variance();
  const double most = std::min(limits.most, spec_.kind == ActNormKind::sigmoid ? 9.9 : 1e4);
  std::vector<double> gammas(means.size());
  std::vector<double> offsets(means.size());
  for (size_t c = 0; c < means.size(); ++c) {
    const double wanted =
        variances[c] < limits.contrast
            ? spec_.initial
            : deviation / std::max(std::sqrt(variances[c] + limits.contrast), 1e-12);
    const double scale = std::clamp(wanted, 1e-4, most);
    gammas[c] = gamma_of(scale, spec_.kind);
    offsets[c] = -scale * means[c];
  }
  gamma_.value.copy_from(tensor_of(gammas, gamma_.shape, gamma_.value.dtype()));
  offset_.value.copy_from(tensor_of(offsets, offset_.shape, offset_.value.dtype()));
  ++gamma_.shadow.version;
}

void ActNorm::backward(const Tensor& grad_scale, const Tensor& grad_offset,
                       const Tensor& grad_log_det, int64_t rows) {
  if (!parameter_grads_enabled()) return;
  PAL_BACKEND(gamma_.value,
              act_norm_parameters_backward(gamma_.value, spec_.kind, grad_scale, grad_offset,
                                           grad_log_det, rows, gamma_.grad, offset_.grad));
}

}  // namespace pal
