#include "layers/models/resnet.h"

#include <cmath>

#include "kernels/arrays/host_values.h"
#include "runtime/profiler.h"

namespace pal {
namespace {

SubnetSpec stem_spec(const ModelConfig& config) {
  const int64_t kernel = config.entry == EntryKind::entry ? 7 : 3;
  const int64_t stride = config.entry == EntryKind::cifar ? 1 : 2;
  SubnetSpec spec = conv_norm(config.channels, config.entry_width, kernel, stride, 1);
  spec.push_back(LayerSpec::relu());
  return spec;
}

Init linear_init(int64_t features) {
  return Init::normal(1.0 / std::sqrt(3.0 * static_cast<double>(features)));
}

/// Cross-entropies of logits; grad_scores (undefined: not wanted) gets the gradient of the loss.
LossResult class_losses(const Tensor& scores, const Tensor& targets, const LossSpec& loss,
                        const Tensor& grad_scores) {
  const int64_t n = scores.size(0);
  const TagScope tag(Tag::workspace);
  const DeviceScope device(scores.device());
  // A mixture's losses without a density are those of plain logits.
  const MixtureWeights weights = {0.0, loss.factor};
  LossResult result;
  result.scores = scores;
  result.nll_joint = Tensor::zeros({n}, DType::f64);
  result.nll_class = Tensor::zeros({n}, DType::f64);
  result.cross_entropy = Tensor::empty({n}, DType::f64);
  result.summary = Tensor::empty({3}, DType::f64);
  MixtureLosses outputs;
  outputs.cross_entropy = result.cross_entropy;
  outputs.grad_scores = grad_scores;
  PAL_BACKEND(scores, mixture_losses(scores, result.nll_joint, result.nll_joint, targets, 1,
                                     weights, outputs));
  PAL_BACKEND(scores,
              mixture_summary(result.nll_joint, result.cross_entropy, weights, result.summary));
  return result;
}

}  // namespace

ResNet::ResNet(const ModelConfig& config) : Model(config) {
  validate(config);
  expect(config.family == ModelFamily::resnet, "ResNet: {} is a flow", config.arch);
  stem_ = std::make_unique<Subnet>(config.channels, stem_spec(config), config.compute);
  features_ = config.entry_width;
  for (size_t stage = 0; stage < config.blocks.size(); ++stage)
    for (int64_t i = 0; i < config.blocks[stage]; ++i) {
      const int64_t width = config.widths[stage];
      const int64_t stride = i == 0 ? config.strides[stage] : 1;
      const bool bottleneck = config.subnet == SubnetKind::bottleneck;
      const SubnetSpec branch = bottleneck ? bottleneck_branch(features_, width, stride)
                                           : basic_branch(features_, width, stride);
      blocks_.push_back(
          {fmt::format("layer{}.{}", stage + 1, i),
           std::make_unique<ResidualBlock>(features_, branch, stride, config.compute)});
      features_ = bottleneck ? 4 * width : width;
    }
  fc_weight_.shape = {config.classes, features_};
  fc_weight_.init = linear_init(features_);
  fc_bias_.shape = {config.classes};
  fc_bias_.init = linear_init(features_);
  fc_weight_.head = fc_bias_.head = true;
  set_policy(ActivationPolicy::store);
  stem_->collect("", state_);
  for (const NamedBlock& each : blocks_) each.block->collect(each.name + ".", state_);
  state_.add("fc.weight", fc_weight_);
  state_.add("fc.bias", fc_bias_);
}

ResNet::ResNet(const ModelConfig& config, uint64_t seed, DType dtype) : ResNet(config) {
  materialise(seed, dtype);
}

void ResNet::initialise(uint64_t, DType dtype) {
  stem_->initialise(dtype);
  for (const NamedBlock& each : blocks_) each.block->initialise(dtype);
}

void ResNet::set_policies(const std::vector<BlockPolicy>& policies) {
  expect(policies.size() == 1 || policies.size() == blocks_.size(),
         "ResNet: expected 1 or {} policies, got {}", blocks_.size(), policies.size());
  for (const BlockPolicy& each : policies)
    expect(keeps_input(each.policy),
           "ResNet: expected policy store or recompute; a residual network cannot be inverted");
  policies_ = policies.size() == 1 ? std::vector(blocks_.size(), policies[0]) : policies;
}

Variable ResNet::feature_map(const Variable& x, Phase phase) {
  const TagScope tag(Tag::stream);
  const DeviceScope device(x.value().device());
  Variable current = stem_->forward(x, {.phase = phase, .remade = Remade::nothing});
  if (config_.entry == EntryKind::entry) current = max_pool(current, kStemPool);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    if (complete_) current = watched(current, begins_[i]);
    current = blocks_[i].block->forward(current, phase, policies_[i]);
  }
  return current;
}

Variable ResNet::pooled(const Variable& x, Phase phase) {
  prepare();
  return cast(average_pool(feature_map(x, phase)), dtype());
}

Variable ResNet::forward(const Variable& x, Phase phase) {
  const TagScope tag(Tag::stream);
  const DeviceScope device(x.value().device());
  Variable features = pooled(x, phase);
  if (complete_) features = watched(features, parameters().place_of(fc_weight_));
  return linear(features, fc_weight_, fc_bias_);
}

void ResNet::on_gradients(std::function<void(int64_t from)> complete) {
  complete_ = std::move(complete);
  begins_.clear();
  for (const NamedBlock& each : blocks_) {
    StateList state;
    each.block->collect("", state);
    begins_.push_back(parameters().place_of(*state.parameters.front()));
  }
}

Variable ResNet::watched(const Variable& x, int64_t from) const {
  // Whatever was recorded after this has been differentiated when its turn comes.
  return record({x}, {x.value()}, false, [this, from](Gradients& grads) -> Gradients {
    if (complete_) complete_(from);
    return {std::move(grads[0])};
  })[0];
}

LossResult ResNet::forward_backward(const Tensor& x, const Tensor& targets, const LossSpec& loss,
                                    Phase phase, Tensor* grad_x) {
  const TagScope tag(Tag::stream);
  const DeviceScope device(x.device());
  const Variable input(x, grad_x != nullptr);
  Variable scores;
  Tensor grad_scores;
  LossResult result;
  {
    const PhaseScope forward_phase("forward");
    scores = forward(input, phase);
    grad_scores = Tensor::empty(scores.value().shape(), scores.value().dtype());
    result = class_losses(scores.value(), targets, loss, grad_scores);
  }
  const PhaseScope backward_phase("backward");
  backward_from(std::move(scores), std::move(grad_scores));
  if (grad_x != nullptr) *grad_x = input.grad();
  return result;
}

LossResult ResNet::forward_backward_head(const Tensor& x, const Tensor& targets,
                                         const LossSpec& loss) {
  const TagScope tag(Tag::stream);
  const DeviceScope device(x.device());
  Variable features;
  {
    const NoGradGuard no_grad;
    features = Variable(pooled(Variable(x), Phase::evaluate).value());
  }
  Variable scores = linear(features, fc_weight_, fc_bias_);
  Tensor grad_scores = Tensor::empty(scores.value().shape(), scores.value().dtype());
  LossResult result = class_losses(scores.value(), targets, loss, grad_scores);
  backward_from(std::move(scores), std::move(grad_scores));
  return result;
}

LossResult ResNet::evaluate(const Tensor& x, const Tensor& targets, const LossSpec& loss) {
  const NoGradGuard no_grad;
  return class_losses(forward(Variable(x), Phase::evaluate).value(), targets, loss, {});
}

Tensor ResNet::input_gradient(const Tensor& x, const ScoreFunction& function) {
  const FrozenParametersGuard frozen;
  const TagScope tag(Tag::stream);
  const DeviceScope device(x.device());
  const Variable input(x, true);
  Variable scores;
  Tensor grad_scores;
  {
    const PhaseScope forward_phase("forward");
    scores = forward(input, Phase::evaluate);
    const ModelScores said = {config_.classes, host_values(scores.value()), {}};
    const ScoreGradients wanted = function(said);
    check_gradients_of(said, wanted);
    grad_scores = tensor_of(wanted.scores, scores.value().shape(), scores.value().dtype());
  }
  const PhaseScope backward_phase("backward");
  backward_from(std::move(scores), std::move(grad_scores));
  return input.grad();
}

void ResNet::update_statistics(const Tensor& x) {
  const NoGradGuard no_grad;
  forward(Variable(x), Phase::train);
}

void ResNet::set_average_count(int64_t batches) {
  average_count_ = batches;
  stem_->set_average_count(batches);
  for (const NamedBlock& each : blocks_) each.block->set_average_count(batches);
}

void ResNet::synchronise_subnets(Communicator* ranks) {
  stem_->synchronise_norms(ranks);
  for (const NamedBlock& each : blocks_) each.block->synchronise_norms(ranks);
}

}  // namespace pal
