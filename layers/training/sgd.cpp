#include "layers/training/sgd.h"

#include <array>
#include <cmath>

#include "kernels/arrays/reduce.h"
#include "kernels/optimizer/optimizer.h"

namespace pal {

Sgd::Sgd(ParameterStore& store)
    : store_(store),
      momentum_(zeros(store.all_values().shape(), store.dtype())),
      controls_(zeros({2, kSgdControls}, DType::f64)),
      squared_norms_(zeros({2}, DType::f64)),
      halted_(zeros({1}, DType::f64)) {}

Tensor Sgd::zeros(const Shape& shape, DType dtype) const {
  return Tensor::zeros(shape, dtype, Tag::optimizer, store_.all_values().device());
}

void Sgd::set_options(const SgdOptions& options) {
  std::array<double, 2 * kSgdControls> values{};
  for (int group = 0; group < 2; ++group) {
    double* const controls = values.data() + group * kSgdControls;
    controls[kLearningRate] = group == 0 ? options.learning_rate : options.learning_rate_means;
    controls[kMomentum] = options.momentum;
    controls[kWeightDecay] = group == 0 ? options.weight_decay : 0.0;
    controls[kGradScale] = 1.0;
  }
  clip_norm_ = options.clip_norm;
  staging_.upload(Tensor::borrowed(values.data(), controls_.shape(), DType::f64, Device()),
                  controls_);
}

void Sgd::apply(bool head_only) {
  const int64_t from = head_only ? store_.count_before_head() : 0;
  const int64_t network_count = store_.count(ParameterGroup::network);
  const Shape trained = {network_count - from};
  const Tensor network = store_.all_grads().view_at(from, trained);
  const Tensor means = store_.grads(ParameterGroup::means);
  PAL_BACKEND(network, squared_norm(network, squared_norms_.view_at(0, {1})));
  PAL_BACKEND(means, squared_norm(means, squared_norms_.view_at(1, {1})));
  PAL_BACKEND(network, sgd_clip(squared_norms_, clip_norm_, controls_, halted_));
  PAL_BACKEND(network,
              sgd_step(store_.all_values().view_at(from, trained), network,
                       momentum_.view_at(from, trained), controls_.view_at(0, {kSgdControls})));
  PAL_BACKEND(means, sgd_step(store_.values(ParameterGroup::means), means,
                              momentum_.view_at(network_count, {means.numel()}),
                              controls_.view_at(kSgdControls, {kSgdControls})));
  store_.mark_changed();
}

double Sgd::step(const SgdOptions& options, bool head_only) {
  set_options(options);
  apply(head_only);
  const double norm = std::sqrt(squared_norms_.item(0));
  if (halted_.item() == 0.0) return norm;
  halted_.zero();
  return norm + std::sqrt(squared_norms_.item(1));
}

}  // namespace pal
