#include "layers/sgd.h"

#include <cmath>

#include "kernels/optimizer.h"
#include "kernels/optimizer_math.h"
#include "kernels/reduce.h"

namespace pal {

Sgd::Sgd(ParameterStore& store)
    : store_(store),
      momentum_(Tensor::zeros(store.all_values().shape(), store.dtype(), Tag::optimizer)) {}

double Sgd::step(const SgdOptions& options) {
  const Tensor network = store_.grads(ParameterGroup::network);
  const Tensor means = store_.grads(ParameterGroup::means);
  const double norm = std::sqrt(PAL_BACKEND(network, squared_norm(network)));
  const double means_norm = std::sqrt(PAL_BACKEND(means, squared_norm(means)));
  if (!std::isfinite(norm) || !std::isfinite(means_norm)) return norm + means_norm;
  SgdStep step;
  step.momentum = options.momentum;
  step.learning_rate = options.learning_rate;
  step.weight_decay = options.weight_decay;
  if (options.clip_norm > 0.0)
    step.grad_scale = optimizer_math::clip_factor(norm, options.clip_norm);
  const int64_t count = network.numel();
  PAL_BACKEND(network, sgd_step(store_.values(ParameterGroup::network), network,
                                momentum_.view_at(0, {count}), step));
  step.learning_rate = options.learning_rate_means;
  step.weight_decay = 0.0;
  step.grad_scale = 1.0;
  PAL_BACKEND(means, sgd_step(store_.values(ParameterGroup::means), means,
                              momentum_.view_at(count, {means.numel()}), step));
  store_.mark_changed();
  return norm;
}

}  // namespace pal
