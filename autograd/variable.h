#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "runtime/tensor.h"

namespace pal {

/// A tensor on the tape: its value, its gradient once a backward pass has reached it, and the node
/// that made it. Copies share state.
class Variable {
 public:
  Variable() = default;
  /// A leaf. With `requires_grad`, backward passes leave its gradient in grad().
  explicit Variable(Tensor value, bool requires_grad = false);

  bool defined() const { return state_ != nullptr; }
  /// The value; one that was dropped is made again by this call.
  const Tensor& value() const;
  /// Releases the value until it is next asked for, when `remake` makes it again: the same bits, or
  /// the tape's gradients are not those of its forward pass. Without `remake` it must not be asked
  /// for before set_value.
  void drop_value(std::function<Tensor()> remake = nullptr) const;
  /// Gives back a value that was dropped.
  void set_value(Tensor value) const;
  /// The gradient; undefined before a backward pass.
  const Tensor& grad() const;
  bool requires_grad() const;
  /// The tensor that gradients must be added to in place; undefined for ordinary variables.
  const Tensor& grad_target() const;
  /// Before a backward pass: where to add a leaf's gradient, or (undefined) that it is not wanted.
  void redirect_grad(Tensor grad_target) const;

  struct State;
  const std::shared_ptr<State>& state() const { return state_; }

 private:
  std::shared_ptr<State> state_;
};

/// Gradients with respect to a node's inputs, in order; undefined entries add nothing.
using Gradients = std::vector<Tensor>;
/// Makes the gradients of a node's inputs of those of its outputs (undefined: none reached it),
/// which it may move from.
using BackwardFunction = std::function<Gradients(Gradients& grad_outputs)>;

/// Records an operation that made `values` from `inputs` and returns its outputs. Nothing is
/// recorded under a NoGradGuard. `has_parameters` says that the operation adds to gradients of
/// parameters itself, so that it is differentiated even if no input requires a gradient, unless
/// parameters are frozen.
std::vector<Variable> record(const std::vector<Variable>& inputs, std::vector<Tensor> values,
                             bool has_parameters, BackwardFunction backward);

/// Whether operations are recorded on this thread.
bool grad_enabled();

/// Stops recording while alive.
class NoGradGuard {
 public:
  NoGradGuard();
  ~NoGradGuard();
  NoGradGuard(const NoGradGuard&) = delete;
  NoGradGuard& operator=(const NoGradGuard&) = delete;

 private:
  bool previous_;
};

/// Restarts recording while alive, inside a NoGradGuard too: for the local tapes of a
/// recomputation.
class EnableGradGuard {
 public:
  EnableGradGuard();
  ~EnableGradGuard();
  EnableGradGuard(const EnableGradGuard&) = delete;
  EnableGradGuard& operator=(const EnableGradGuard&) = delete;

 private:
  bool previous_;
};

/// Whether backward passes on this thread add to the gradients of parameters.
bool parameter_grads_enabled();

/// Keeps backward passes from adding to the gradients of parameters while alive, and from the work
/// that these take: for gradients of images. To be held over the recording too, which then keeps
/// less.
class FrozenParametersGuard {
 public:
  FrozenParametersGuard();
  ~FrozenParametersGuard();
  FrozenParametersGuard(const FrozenParametersGuard&) = delete;
  FrozenParametersGuard& operator=(const FrozenParametersGuard&) = delete;

 private:
  bool previous_;
};

/// Differentiates from `roots` with the given gradients: nodes run in the reverse order of their
/// recording, and each releases what it saved as soon as it has run, so a tape serves one backward
/// pass. Gradients are added to those of leaves. Roots and their gradients that are moved in live
/// no longer than they are needed. Throws usage for a tape that was differentiated before.
void backward(std::vector<Variable> roots, Gradients grad_roots);
/// Differentiates from one root; named apart since braces would not tell it from several.
void backward_from(Variable root, Tensor grad_root);

}  // namespace pal
