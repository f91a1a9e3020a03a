#include "bench/libtorch/trainer.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <stdexcept>

namespace rival {
namespace {

// As the engine's SgdOptions.
constexpr double kMomentumFactor = 0.9;
constexpr double kClipNorm = 8.0;

at::Tensor tensor_of(const TensorsFile& file, const std::string& path, const std::string& name) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end()) throw std::runtime_error(path + ": " + name + " is missing");
  return found->second;
}

std::vector<at::Tensor> gradients_of(const std::vector<at::Tensor>& parameters) {
  std::vector<at::Tensor> grads;
  grads.reserve(parameters.size());
  for (const at::Tensor& p : parameters) grads.push_back(p.grad());
  return grads;
}

/// Differentiates a block's result, of which some part may be a constant.
void differentiate(const BlockResult& result, const at::Tensor& grad_y,
                   const at::Tensor& grad_log_det) {
  torch::autograd::variable_list roots, grads;
  if (result.y.requires_grad()) {
    roots.push_back(result.y);
    grads.push_back(grad_y);
  }
  if (result.log_det.defined() && result.log_det.requires_grad()) {
    roots.push_back(result.log_det);
    // A scalar counts for every image.
    grads.push_back(result.log_det.dim() == 0 ? grad_log_det.sum() : grad_log_det);
  }
  if (!roots.empty()) torch::autograd::backward(roots, grads);
}

}  // namespace

Trainer::Trainer(const std::string& path, const Settings& settings, double learning_rate)
    : settings_(settings), learning_rate_(learning_rate) {
  const TensorsFile file = read_tensors(path);
  const auto found = file.metadata.find("configuration");
  if (found == file.metadata.end())
    throw std::runtime_error(path + ": the metadata entry configuration is missing");
  const NetworkConfig config = network_config(found->second);
  Weights weights(file, settings);
  network_ = config.family == "flow" ? make_ib_inn(weights, config) : make_resnet(weights, config);
  weights.check_all_used();
  network_state_.parameters = weights.parameters(Group::network);
  means_state_.parameters = weights.parameters(Group::means);
  for (State* state : {&network_state_, &means_state_})
    for (const at::Tensor& p : state->parameters)
      state->momentum.push_back(at::zeros_like(p).detach());
  images_ = tensor_of(file, path, "bench.images").to(settings.device).contiguous(settings.memory());
  labels_ = tensor_of(file, path, "bench.labels").to(settings.device, at::kLong);
}

double Trainer::gradients(const std::string& policy) {
  if (policy == "checkpoint") return checkpointed();
  if (policy != "store")
    throw std::runtime_error("policy: expected store or checkpoint, got '" + policy + "'");
  const at::Tensor loss = network_->loss(network_->forward(images_, {}), labels_);
  loss.backward();
  return loss.item<double>();
}

double Trainer::checkpointed() {
  const auto& blocks = network_->blocks();
  std::vector<at::Tensor> inputs;
  BlockResult top{images_, {}};
  {
    const at::NoGradGuard no_grad;
    for (const auto& block : blocks) {
      inputs.push_back(top.y);
      const BlockResult next = block->forward(top.y, {});
      top = {next.y, sum_of(top.log_det, next.log_det)};
    }
  }
  BlockResult leaf{top.y.detach().requires_grad_(), {}};
  if (top.log_det.defined()) leaf.log_det = top.log_det.detach().requires_grad_();
  top = {};
  const at::Tensor loss = network_->loss(leaf, labels_);
  loss.backward();
  at::Tensor grad = leaf.y.grad();
  const at::Tensor grad_log_det = leaf.log_det.defined() ? leaf.log_det.grad() : at::Tensor();
  leaf = {};
  for (size_t i = blocks.size(); i-- > 0;) {
    const at::Tensor x = inputs[i].detach().set_requires_grad(i > 0);
    inputs.pop_back();
    differentiate(blocks[i]->forward(x, {.training = true, .update_statistics = false}), grad,
                  grad_log_det);
    grad = x.grad();
  }
  return loss.item<double>();
}

double Trainer::clip_network() {
  std::vector<at::Tensor> grads = gradients_of(network_state_.parameters);
  const at::Tensor norms = at::stack(at::_foreach_norm(grads));
  const double norm = at::linalg_vector_norm(norms).item<double>();
  if (norm > kClipNorm) at::_foreach_mul_(grads, kClipNorm / norm);
  return norm;
}

void Trainer::update(Group group) {
  State& state = group == Group::network ? network_state_ : means_state_;
  if (state.parameters.empty()) return;
  const at::NoGradGuard no_grad;
  const std::vector<at::Tensor> grads = gradients_of(state.parameters);
  if (!settings_.untuned) {
    at::_fused_sgd_(state.parameters, grads, state.momentum, /*weight_decay=*/0.0, kMomentumFactor,
                    learning_rate_, /*dampening=*/0.0, /*nesterov=*/false, /*maximize=*/false,
                    state.first);
    state.first = false;
    return;
  }
  // As torch.optim.SGD does by default on a CPU: tensor after tensor.
  for (size_t i = 0; i < grads.size(); ++i) {
    state.momentum[i].mul_(kMomentumFactor).add_(grads[i]);
    state.parameters[i].add_(state.momentum[i], -learning_rate_);
  }
}

StepFigures Trainer::step(const std::string& policy) {
  // The next gradients take the place of the old ones instead of being added to zeros.
  drop_gradients();
  StepFigures figures;
  figures.loss = gradients(policy);
  figures.grad_norm = clip_network();
  update(Group::network);
  update(Group::means);
  return figures;
}

double Trainer::infer() {
  const at::NoGradGuard no_grad;
  const Pass pass{.training = false, .update_statistics = false};
  return network_->scores(network_->forward(images_, pass).y).max().item<double>();
}

double Trainer::evaluate() {
  const at::NoGradGuard no_grad;
  const Pass pass{.training = false, .update_statistics = false};
  return network_->loss(network_->forward(images_, pass), labels_).item<double>();
}

void Trainer::drop_gradients() {
  for (State* state : {&network_state_, &means_state_})
    for (at::Tensor& p : state->parameters) p.mutable_grad().reset();
}

void Trainer::hold_gradients() {
  for (State* state : {&network_state_, &means_state_})
    for (at::Tensor& p : state->parameters) {
      if (!p.grad().defined()) p.mutable_grad() = at::zeros_like(p).detach();
      p.mutable_grad().zero_();
    }
}

}  // namespace rival
