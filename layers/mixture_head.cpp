#include "layers/mixture_head.h"

#include <algorithm>
#include <cmath>

#include "kernels/arrays/elementwise.h"
#include "kernels/arrays/host_values.h"
#include "kernels/arrays/reduce.h"
#include "kernels/arrays/samples.h"
#include "kernels/library/gemm.h"
#include "kernels/loss/softmax_math.h"
#include "kernels/mixing/permutation.h"
#include "kernels/mixing/permute_channels.h"

namespace pal {

MixtureHead::MixtureHead(const MixtureSpec& spec)
    : spec_(spec),
      mean_({spec.classes, spec.rank > 0 ? spec.mean_dims : spec.dims},
            spec.rank > 0 ? Init::constant(0.0) : Init::normal(0.01), ParameterGroup::means),
      alpha_({spec.classes, spec.rank}, Init::normal(0.01), ParameterGroup::means),
      prototypes_({spec.rank, spec.dims - spec.mean_dims}, Init::normal(0.01),
                  ParameterGroup::means) {
  expect(spec.classes >= 1, "mixture: expected at least one class, got {}", spec.classes);
  expect(spec.mean_dims >= spec.classes,
         "mixture: {} mean dimensions cannot hold {} classes; use more downsampling or channels",
         spec.mean_dims, spec.classes);
  expect(spec.dims >= spec.mean_dims, "mixture: {} dimensions, {} of them means", spec.dims,
         spec.mean_dims);
}

void MixtureHead::collect(StateList& state) {
  state.add("mu_mean", mean_);
  if (spec_.rank > 0) {
    state.add("mu_alpha", alpha_);
    state.add("mu_prototypes", prototypes_);
  }
  if (spec_.head_permutation) state.add("head_permutation", permutation_);
}

void MixtureHead::initialise(DType dtype) {
  if (spec_.head_permutation) {
    permutation_ = index_tensor(numpy_permutation(spec_.mean_dims));
    refresh();
  }
  if (device_of_values().meta) return;
  // r copies of g I side by side: every pair of classes is mu_init apart.
  const int64_t copies = spec_.mean_dims / spec_.classes;
  const double g = spec_.mu_init / std::sqrt(2.0 * static_cast<double>(copies));
  dispatch_real("mixture", dtype, [&](auto typed) {
    using T = decltype(typed);
    for (int64_t y = 0; y < spec_.classes; ++y) {
      T* row = mean_.value.data<T>() + y * mean_.shape[1];
      std::fill_n(row, spec_.mean_dims, T{0});
      for (int64_t k = 0; k < copies; ++k) row[k * spec_.classes + y] = static_cast<T>(g);
    }
  });
}

void MixtureHead::refresh() {
  if (permutation_.defined()) inverse_permutation_ = inverse_index(permutation_);
}

MixtureMeans MixtureHead::means() const {
  MixtureMeans means;
  means.mean = mean_.value;
  if (spec_.rank > 0) {
    means.alpha = alpha_.value;
    means.prototypes = prototypes_.value;
  }
  means.permutation = permutation_;
  means.inverse_permutation = inverse_permutation_;
  return means;
}

uint64_t MixtureHead::version() const {
  // Each of them only grows.
  return mean_.shadow.version + alpha_.shadow.version + prototypes_.shadow.version;
}

MixtureState MixtureHead::state_for(const Tensor& z) const {
  const bool known = norms_version_ == version() && norms_.half_norms.device() == z.device();
  return known ? norms_ : MixtureState();
}

void MixtureHead::keep_norms(const MixtureState& state) const {
  if (!state.half_norms.defined()) return;  // a meta device's
  norms_ = state;
  norms_.z_mean = norms_.projection = Tensor();  // those of z
  norms_.norms_known = true;
  norms_version_ = version();
}

LossResult MixtureHead::losses(const Tensor& z, const Tensor& log_det, const Tensor& targets,
                               const LossSpec& loss, MixtureState& state,
                               const Tensor& grad_scores) const {
  const int64_t n = z.size(0);
  const TagScope tag(Tag::workspace);
  const DeviceScope device(z.device());
  LossResult result;
  result.scores = Tensor::empty({n, spec_.classes}, z.dtype());
  const Tensor half_norm = Tensor::empty({n}, DType::f64);
  MixtureLosses outputs;
  outputs.nll_joint = result.nll_joint = Tensor::empty({n}, DType::f64);
  outputs.nll_class = result.nll_class = Tensor::empty({n}, DType::f64);
  outputs.cross_entropy = result.cross_entropy = Tensor::empty({n}, DType::f64);
  outputs.grad_scores = grad_scores;
  PAL_BACKEND(z, mixture_scores(z, means(), result.scores, state));
  PAL_BACKEND(z, half_squared_norm(z, half_norm));
  PAL_BACKEND(z, mixture_losses(result.scores, half_norm, log_det, targets, spec_.dims,
                                loss.weights(), outputs));
  result.summary = Tensor::empty({3}, DType::f64);
  PAL_BACKEND(
      z, mixture_summary(result.nll_joint, result.cross_entropy, loss.weights(), result.summary));
  return result;
}

LossResult MixtureHead::evaluate(const Tensor& z, const Tensor& log_det, const Tensor& targets,
                                 const LossSpec& loss) const {
  MixtureState state = state_for(z);
  LossResult result = losses(z, log_det, targets, loss, state, {});
  keep_norms(state);
  return result;
}

MixtureHead::Gradients MixtureHead::evaluate_backward(const Tensor& z, const Tensor& log_det,
                                                      const Tensor& targets, const LossSpec& loss,
                                                      LossResult& result) {
  const int64_t n = z.size(0);
  const DeviceScope device(z.device());
  // A training step is about to change the means.
  norms_ = MixtureState();
  norms_version_ = 0;
  MixtureState state;
  const Tensor grad_scores = Tensor::empty({n, spec_.classes}, z.dtype(), Tag::workspace);
  result = losses(z, log_det, targets, loss, state, grad_scores);
  const double density = mixture_density_gradient(loss.weights(), n, spec_.dims);
  Gradients gradients;
  gradients.z = Tensor::empty(z.shape(), z.dtype(), Tag::stream);
  gradients.log_det = Tensor::empty({n}, DType::f64, Tag::workspace);
  gradients.log_det.fill(-density);
  MixtureGrads grads;
  grads.mean = mean_.grad;
  if (spec_.rank > 0) {
    grads.alpha = alpha_.grad;
    grads.prototypes = prototypes_.grad;
  }
  PAL_BACKEND(z, mixture_backward(z, means(), state, grad_scores, density, gradients.z, grads));
  return gradients;
}

MixtureHead::Gradients MixtureHead::score_gradients(const Tensor& z, const Tensor& log_det,
                                                    const ScoreFunction& function) const {
  const int64_t n = z.size(0), classes = spec_.classes;
  const DeviceScope device(z.device());
  MixtureState state = state_for(z);
  // No target is looked at: the losses of classes are left unread.
  const Tensor targets = Tensor::zeros({n, classes}, z.dtype(), Tag::workspace);
  const LossResult said = losses(z, log_det, targets, {}, state, {});
  keep_norms(state);
  const ModelScores scores = {classes, host_values(said.scores), host_values(said.nll_joint)};
  ScoreGradients wanted = function(scores);
  check_gradients_of(scores, wanted);
  // D nll_joint = ||z||^2 / 2 - log sum_y exp l_y - log_det.
  const auto dims = static_cast<double>(spec_.dims);
  for (double& nll : wanted.nll_joint) nll /= dims;
  for (int64_t i = 0; i < static_cast<int64_t>(wanted.nll_joint.size()); ++i) {
    const double* const row = scores.scores.data() + i * classes;
    const double log_sum = softmax_math::log_sum_exp(row, classes);
    for (int64_t y = 0; y < classes; ++y)
      wanted.scores[static_cast<size_t>(i * classes + y)] -=
          wanted.nll_joint[static_cast<size_t>(i)] * softmax_math::probability(row[y], log_sum);
  }
  const TagScope tag(Tag::workspace);
  Gradients gradients;
  gradients.z = Tensor::empty(z.shape(), z.dtype(), Tag::stream);
  const Tensor grad_scores = tensor_of(wanted.scores, {n, classes}, z.dtype());
  PAL_BACKEND(z, mixture_backward(z, means(), state, grad_scores, 0.0, gradients.z, {}));
  gradients.log_det = Tensor::zeros({n}, DType::f64, Tag::workspace);
  if (wanted.nll_joint.empty()) return gradients;
  const Tensor weights = tensor_of(wanted.nll_joint, {n}, DType::f64);
  PAL_BACKEND(weights, axpy(-1.0, weights, gradients.log_det));
  const Tensor ones = Tensor::empty({n}, DType::f64, Tag::workspace);
  ones.fill(1.0);
  PAL_BACKEND(z, combine_samples({{gradients.z, ones}, {z.dense(), weights}}, gradients.z));
  return gradients;
}

Tensor MixtureHead::scores(const Tensor& z) const {
  const DeviceScope device(z.device());
  const Tensor scores = Tensor::empty({z.size(0), spec_.classes}, z.dtype(), Tag::workspace);
  MixtureState state = state_for(z);
  PAL_BACKEND(z, mixture_scores(z, means(), scores, state));
  keep_norms(state);
  return scores;
}

Tensor MixtureHead::class_mean(int64_t y) const {
  expect(y >= 0 && y < spec_.classes, "class_mean: expected a class below {}, got {}",
         spec_.classes, y);
  const DeviceScope device(mean_.value.device());
  const Tensor ordered = Tensor::zeros({1, spec_.dims}, mean_.value.dtype(), Tag::workspace);
  ordered.slice_channels(0, mean_.shape[1]).copy_from(mean_.value.slice_batch(y, 1));
  if (spec_.rank > 0)
    PAL_BACKEND(ordered,
                gemm(alpha_.value.slice_batch(y, 1), prototypes_.value,
                     ordered.slice_channels(spec_.mean_dims, spec_.dims - spec_.mean_dims)));
  if (!permutation_.defined()) return ordered.reshape({spec_.dims}).to(Device());
  // z_mean[i] = z[permutation[i]].
  const Tensor mean = ordered.clone();
  PAL_BACKEND(mean,
              permute_channels(ordered.slice_channels(0, spec_.mean_dims), inverse_permutation_,
                               mean.slice_channels(0, spec_.mean_dims)));
  return mean.reshape({spec_.dims}).to(Device());
}

double MixtureHead::mean_distance() const { return pal::mean_distance(means()); }

}  // namespace pal
