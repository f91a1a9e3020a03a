#include "autograd/variable.h"

#include <atomic>
#include <queue>
#include <unordered_map>
#include <utility>

#include "kernels/arrays/elementwise.h"
#include "runtime/error.h"

namespace pal {
namespace {

thread_local bool recording = true;
thread_local bool parameters_learn = true;
std::atomic<uint64_t> next_sequence{1};

struct Node {
  uint64_t sequence = 0;
  std::vector<std::shared_ptr<Variable::State>> inputs;
  std::vector<std::weak_ptr<Variable::State>> outputs;
  BackwardFunction backward;
};

}  // namespace

struct Variable::State {
  Tensor value;
  std::function<Tensor()> remake;  // of a dropped value
  Tensor grad;
  Tensor grad_target;
  bool requires_grad = false;
  std::shared_ptr<Node> node;
};

namespace {

/// Adds a gradient to a variable; the first one is kept as it is, without a copy.
void accumulate(Variable::State& state, const Tensor& grad) {
  if (!grad.defined() || !state.requires_grad) return;
  expect(grad.shape() == state.value.shape(), "backward: gradient {} for a value {}",
         grad.shape().str(), state.value.shape().str());
  if (state.grad_target.defined())
    PAL_BACKEND(grad, add_into(grad, state.grad_target));
  else if (!state.grad.defined())
    state.grad = grad;
  else {
    // The first gradient may be shared with another variable: add into a copy of our own.
    const Tensor sum = state.grad.clone();
    PAL_BACKEND(grad, add_into(grad, sum));
    state.grad = sum;
  }
}

}  // namespace

Variable::Variable(Tensor value, bool requires_grad) : state_(std::make_shared<State>()) {
  state_->value = std::move(value);
  state_->requires_grad = requires_grad;
}

const Tensor& Variable::value() const {
  if (state_->remake) {
    state_->value = state_->remake();
    state_->remake = nullptr;
  }
  return state_->value;
}

void Variable::drop_value(std::function<Tensor()> remake) const {
  state_->remake = std::move(remake);
  state_->value = Tensor();
}

void Variable::set_value(Tensor value) const {
  state_->remake = nullptr;
  state_->value = std::move(value);
}

const Tensor& Variable::grad() const { return state_->grad; }
bool Variable::requires_grad() const { return state_->requires_grad; }
const Tensor& Variable::grad_target() const { return state_->grad_target; }

void Variable::redirect_grad(Tensor grad_target) const {
  state_->requires_grad = grad_target.defined();
  state_->grad_target = std::move(grad_target);
}

std::vector<Variable> record(const std::vector<Variable>& inputs, std::vector<Tensor> values,
                             bool has_parameters, BackwardFunction backward) {
  bool needed = has_parameters && parameters_learn;
  for (const Variable& input : inputs) needed = needed || input.requires_grad();
  needed = needed && recording;
  std::vector<Variable> outputs;
  outputs.reserve(values.size());
  for (Tensor& value : values) outputs.emplace_back(std::move(value), needed);
  if (!needed) return outputs;
  auto node = std::make_shared<Node>();
  node->sequence = next_sequence++;
  node->backward = std::move(backward);
  for (const Variable& input : inputs) node->inputs.push_back(input.state());
  for (const Variable& output : outputs) {
    node->outputs.push_back(output.state());
    output.state()->node = node;
  }
  return outputs;
}

bool grad_enabled() { return recording; }

NoGradGuard::NoGradGuard() : previous_(recording) { recording = false; }
NoGradGuard::~NoGradGuard() { recording = previous_; }
EnableGradGuard::EnableGradGuard() : previous_(recording) { recording = true; }
EnableGradGuard::~EnableGradGuard() { recording = previous_; }

bool parameter_grads_enabled() { return parameters_learn; }
FrozenParametersGuard::FrozenParametersGuard() : previous_(parameters_learn) {
  parameters_learn = false;
}
FrozenParametersGuard::~FrozenParametersGuard() { parameters_learn = previous_; }

void backward_from(Variable root, Tensor grad_root) {
  std::vector<Variable> roots(1);
  Gradients grad_roots(1);
  roots[0] = std::move(root);
  grad_roots[0] = std::move(grad_root);
  backward(std::move(roots), std::move(grad_roots));
}

// Nodes are numbered as they are recorded, and whatever uses a node's outputs was recorded after
// it. So the latest node that has been reached always has its gradients complete: a queue by number
// does what a sort of the graph would.
void backward(std::vector<Variable> roots, Gradients grad_roots) {
  expect(roots.size() == grad_roots.size(), "backward: expected one gradient per root");
  const auto earlier = [](const auto& a, const auto& b) { return a->sequence < b->sequence; };
  std::priority_queue<std::shared_ptr<Node>, std::vector<std::shared_ptr<Node>>, decltype(earlier)>
      queue(earlier);
  // Outputs with a gradient, alive until their node has run. Kept here and not in the node: a
  // backward function that throws would leave a cycle there.
  std::unordered_map<const Node*, std::vector<std::shared_ptr<Variable::State>>> reached;
  const auto reach = [&](const std::shared_ptr<Variable::State>& state, const Tensor& grad) {
    accumulate(*state, grad);
    if (!state->node || !grad.defined()) return;
    const auto [outputs, is_new] = reached.try_emplace(state->node.get());
    outputs->second.push_back(state);
    if (is_new) queue.push(state->node);
  };
  if (roots.empty()) return;
  const DeviceScope device(roots[0].value().device());
  for (size_t i = 0; i < roots.size(); ++i) reach(roots[i].state(), grad_roots[i]);
  roots.clear();
  grad_roots.clear();
  while (!queue.empty()) {
    const std::shared_ptr<Node> node = queue.top();
    queue.pop();
    expect(node->backward != nullptr, "backward: this tape was differentiated before");
    Gradients grad_outputs;
    for (const auto& output : node->outputs) {
      const auto state = output.lock();
      grad_outputs.push_back(state ? state->grad : Tensor());
      // An intermediate gradient is no longer needed once its node runs.
      if (state) state->grad = Tensor();
    }
    reached.erase(node.get());
    Gradients grad_inputs = node->backward(grad_outputs);
    node->backward = nullptr;
    grad_outputs.clear();
    for (size_t i = 0; i < grad_inputs.size(); ++i) reach(node->inputs[i], grad_inputs[i]);
    node->inputs.clear();
  }
}

}  // namespace pal
