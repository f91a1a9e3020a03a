#pragma once
#include "autograd/parameter.h"
#include "runtime/staging.h"

namespace pal {

/// The numbers of one update.
struct SgdOptions {
  /// Learning rate of the network's parameters.
  double learning_rate = 0.07;
  /// Learning rate of the class means.
  double learning_rate_means = 0.07;
  double momentum = 0.9;
  /// Weight decay of the network's parameters; the means have none.
  double weight_decay = 0.0;
  /// Largest norm of the network's gradient (the means are not clipped); 0: no limit.
  double clip_norm = 8.0;
};

/// Stochastic gradient descent with momentum over the flat buffers of a model:
///   buffer     = momentum * buffer + clipped gradient + weight_decay * parameter
///   parameter -= learning_rate * buffer
class Sgd {
 public:
  /// For the parameters of `store`, which must outlive it, on the device where they are.
  explicit Sgd(ParameterStore& store);

  /// One update, of the head alone if `head_only` (ParameterStore): then values and momentum of all
  /// else stay bit for bit, and its gradient is not looked at. Returns the norm of the network's gradient before clipping; if any gradient is not
  /// finite, nothing is changed and the result is not finite either. Waits for the device.
  double step(const SgdOptions& options, bool head_only = false);

  /// First part of step(): uploads the numbers of the updates to come.
  void set_options(const SgdOptions& options);
  /// Second part of step(): the update. It asks nothing of the host, so it can be part of a
  /// CudaGraph; after a gradient that is not finite, it changes nothing any more.
  void apply(bool head_only = false);
  /// f64 [2]: squared norms of the gradients of the network (of its part that was updated) and of
  /// the means in the last update.
  const Tensor& squared_norms() const { return squared_norms_; }
  /// f64 [1]: 1 after a gradient that was not finite.
  const Tensor& halted() const { return halted_; }

  /// The momentum buffer, one element per parameter value in the store's order.
  const Tensor& momentum() const { return momentum_; }

 private:
  Tensor zeros(const Shape& shape, DType dtype) const;

  ParameterStore& store_;
  Tensor momentum_;
  Tensor controls_;  // f64 [2, kSgdControls]
  Tensor squared_norms_;
  Tensor halted_;
  StagingRing staging_;
  double clip_norm_ = 0.0;
};

}  // namespace pal
