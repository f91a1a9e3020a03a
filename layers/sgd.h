#pragma once
#include "autograd/parameter.h"

namespace pal {

struct SgdOptions {
  double learning_rate = 0.07;
  /// Of the class means.
  double learning_rate_means = 0.07;
  double momentum = 0.9;
  /// Of the network's parameters; the means have none.
  double weight_decay = 0.0;
  /// Largest norm of the network's gradient (the means are not clipped); 0: no limit.
  double clip_norm = 8.0;
};

/// Stochastic gradient descent with momentum over the flat buffers of a model:
/// buffer = momentum buffer + clipped gradient + decay parameter; parameter -= rate buffer.
class Sgd {
 public:
  explicit Sgd(ParameterStore& store);

  /// One update. Returns the norm of the network's gradient before clipping; if any gradient is not
  /// finite, nothing is changed and the result is not finite either.
  double step(const SgdOptions& options);

  /// The momentum buffer, one element per parameter value in the store's order.
  const Tensor& momentum() const { return momentum_; }

 private:
  ParameterStore& store_;
  Tensor momentum_;
};

}  // namespace pal
