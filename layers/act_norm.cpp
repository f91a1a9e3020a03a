#include "layers/act_norm.h"

#include <algorithm>
#include <cmath>

#include "kernels/backend.h"

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

struct ScaleAndSlope {
  double scale;
  double slope;
};

/// 0.1 softplus_b(gamma) and its derivative.
ScaleAndSlope softplus(double gamma, double b) {
  const double z = b * gamma;
  // log(1 + e^z) without overflow.
  const double soft = (z > 0 ? z + std::log1p(std::exp(-z)) : std::log1p(std::exp(z))) / b;
  return {0.1 * soft, 0.1 / (1.0 + std::exp(-z))};
}

ScaleAndSlope scale_of(double gamma, ActNormKind kind) {
  switch (kind) {
    case ActNormKind::softplus:
      return softplus(gamma, 0.5);
    case ActNormKind::paper:
      return softplus(gamma, 1.0);
    case ActNormKind::sigmoid: {
      const double sigmoid = 1.0 / (1.0 + std::exp(2.0 - gamma));
      return {10.0 * sigmoid, 10.0 * sigmoid * (1.0 - sigmoid)};
    }
    case ActNormKind::exponential:
      break;
  }
  return {std::exp(gamma), std::exp(gamma)};
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
  Values values;
  values.scale = Tensor::empty(gamma_.value.shape(), gamma_.value.dtype(), Tag::workspace);
  values.offset = offset_.value;
  dispatch_real("act_norm", gamma_.value.dtype(), [&](auto typed) {
    using T = decltype(typed);
    for (int64_t c = 0; c < gamma_.value.numel(); ++c) {
      const double scale =
          scale_of(static_cast<double>(gamma_.value.data<T>()[c]), spec_.kind).scale;
      if (!(scale > 0.0))
        fail(ErrorKind::numerics, "{}: the scale of channel {} is {}", gamma_.name, c, scale);
      values.scale.data<T>()[c] = static_cast<T>(scale);
      values.log_scale_sum += std::log(scale);
    }
  });
  return values;
}

void ActNorm::assign(const Tensor& scale, const Tensor& offset) {
  dispatch_real("act_norm", gamma_.value.dtype(), [&](auto typed) {
    using T = decltype(typed);
    for (int64_t c = 0; c < gamma_.value.numel(); ++c) {
      const double most = spec_.kind == ActNormKind::sigmoid ? 9.9 : 1e4;
      const double limited = std::clamp(scale.data<double>()[c], 1e-4, most);
      gamma_.value.data<T>()[c] = static_cast<T>(gamma_of(limited, spec_.kind));
      offset_.value.data<T>()[c] = static_cast<T>(offset.data<double>()[c]);
    }
  });
}

void ActNorm::backward(const Tensor& grad_scale, const Tensor& grad_offset,
                       double log_scale_weight) {
  dispatch_real("act_norm", gamma_.value.dtype(), [&](auto typed) {
    using T = decltype(typed);
    for (int64_t c = 0; c < gamma_.value.numel(); ++c) {
      const auto [scale, slope] =
          scale_of(static_cast<double>(gamma_.value.data<T>()[c]), spec_.kind);
      const double grad = grad_scale.data<double>()[c] + log_scale_weight / scale;
      gamma_.grad.data<T>()[c] += static_cast<T>(grad * slope);
      offset_.grad.data<T>()[c] += static_cast<T>(grad_offset.data<double>()[c]);
    }
  });
}

}  // namespace pal
