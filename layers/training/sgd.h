#pragma once
#include "autograd/parameter.h"
#include "runtime/staging.h"

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
  /// finite, nothing is changed and the result is not finite either. Waits for the device.
  double step(const SgdOptions& options);

  // The same in two parts, of which the second asks nothing of the host, so that it can be part of
  // a CudaGraph: the numbers of the coming updates, and one update. After a gradient that is not
  // finite, updates change nothing any more.
  void set_options(const SgdOptions& options);
  void apply();
  /// f64 [2]: squared norms of the gradients of the network and of the means in the last update.
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
