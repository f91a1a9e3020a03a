#include "layers/training/optimizer.h"

#include <array>
#include <cmath>

#include "kernels/arrays/reduce.h"

namespace pal {
namespace {

constexpr int64_t kUploads = 2 * kUpdateControls + kGuardLimits;

}  // namespace

Optimizer::Optimizer(ParameterStore& store, const OptimizerSpec& spec)
    : store_(store),
      spec_(spec),
      kept_statistics_(zeros(store.all_statistics().shape(), store.dtype())),
      uploads_(zeros({kUploads}, DType::f64)),
      controls_(uploads_.view_at(0, {2, kUpdateControls})),
      limits_(uploads_.view_at(2 * kUpdateControls, {kGuardLimits})),
      squared_norms_(zeros({kNormParts}, DType::f64)),
      guard_(zeros({kGuardValues}, DType::f64)) {
  for (int i = 0; i < (spec.kind == OptimizerKind::adamw ? 2 : 1); ++i)
    moments_.push_back(zeros(store.all_values().shape(), store.dtype()));
  if (spec.averages) average_ = std::make_unique<WeightAverage>(store);
  if (!guard_.device().meta) set_guard({});
}

Tensor Optimizer::zeros(const Shape& shape, DType dtype) const {
  return Tensor::zeros(shape, dtype, Tag::optimizer, store_.all_values().device());
}

void Optimizer::set_options(const UpdateOptions& options) {
  const bool adam = spec_.kind == OptimizerKind::adamw;
  std::array<double, kUploads> values{};
  for (int group = 0; group < 2; ++group) {
    double* const controls = values.data() + group * kUpdateControls;
    controls[kLearningRate] = group == 0 ? options.learning_rate : options.learning_rate_means;
    controls[kBeta1] = adam ? options.beta1 : options.momentum;
    controls[kBeta2] = options.beta2;
    controls[kEpsilon] = options.epsilon;
    controls[kWeightDecay] = group == 0 ? options.weight_decay : 0.0;
  }
  double* const limits = values.data() + 2 * kUpdateControls;
  limits[kClipNorm] = options.clip_norm;
  limits[kDeviations] = options.skip_outliers;
  limits[kBadSteps] = static_cast<double>(options.bad_steps);
  limits[kAverageDecay] = options.average_decay;
  staging_.upload(Tensor::borrowed(values.data(), uploads_.shape(), DType::f64, Device()),
                  uploads_);
}

void Optimizer::keep_statistics() {
  if (kept_statistics_.numel() > 0) kept_statistics_.copy_from(store_.all_statistics());
}

void Optimizer::update(const Tensor& values, const Tensor& grads, int64_t offset,
                       const Tensor& controls) {
  const auto moment = [&](size_t i) { return moments_[i].view_at(offset, values.shape()); };
  if (spec_.kind == OptimizerKind::adamw)
    PAL_BACKEND(values, adamw_step(values, grads, moment(0), moment(1), controls));
  else
    PAL_BACKEND(values, sgd_step(values, grads, moment(0), controls));
}

void Optimizer::apply(const Tensor& loss, bool head_only) {
  const int64_t from = head_only ? store_.count_before_head() : 0;
  const int64_t network_count = store_.count(ParameterGroup::network);
  const Shape trained = {network_count - from};
  const Tensor network = store_.all_grads().view_at(from, trained);
  const Tensor means = store_.grads(ParameterGroup::means);
  const Tensor& statistics = store_.all_statistics();
  PAL_BACKEND(network, squared_norm(network, squared_norms_.view_at(kNetworkNorm, {1})));
  PAL_BACKEND(means, squared_norm(means, squared_norms_.view_at(kMeansNorm, {1})));
  PAL_BACKEND(statistics, squared_norm(statistics, squared_norms_.view_at(kStatisticsNorm, {1})));
  PAL_BACKEND(guard_, judge_step(loss, squared_norms_, limits_, controls_, guard_));
  update(store_.all_values().view_at(from, trained), network, from,
         controls_.view_at(0, {kUpdateControls}));
  update(store_.values(ParameterGroup::means), means, network_count,
         controls_.view_at(kUpdateControls, {kUpdateControls}));
  if (statistics.numel() > 0)
    PAL_BACKEND(statistics, restore_unless_taken(statistics, kept_statistics_, guard_));
  if (average_) average_->move(guard_.view_at(kAverageRate, {1}));
  store_.mark_changed();
}

double Optimizer::step(const UpdateOptions& options, bool head_only) {
  set_options(options);
  keep_statistics();
  apply(zeros({1}, DType::f64), head_only);
  const double norm = std::sqrt(squared_norms_.item(kNetworkNorm));
  const bool finite = GuardState::from(guard_.to(Device()).data<double>()).not_finite_in_row == 0;
  return finite ? norm : norm + std::sqrt(squared_norms_.item(kMeansNorm));
}

std::vector<FlatState> Optimizer::flat_states(bool with_average) const {
  std::vector<FlatState> states;
  if (spec_.kind == OptimizerKind::adamw)
    states = {{"optimizer.exp_avg.", moments_[0], {}}, {"optimizer.exp_avg_sq.", moments_[1], {}}};
  else
    states = {{"optimizer.momentum.", moments_[0], {}}};
  if (average_ && with_average)
    states.push_back({"ema.", average_->values(), average_->statistics()});
  return states;
}

}  // namespace pal
