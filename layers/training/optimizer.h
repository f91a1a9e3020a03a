#pragma once
#include <memory>
#include <vector>

#include "autograd/parameter.h"
#include "layers/models/model_io.h"
#include "layers/training/step_guard.h"
#include "layers/training/weight_average.h"
#include "runtime/staging.h"

namespace pal {

/// Which rule updates weights (kernels/optimizer/optimizer.h).
enum class OptimizerKind {
  sgd,    ///< with momentum; weight decay is part of the gradient
  adamw,  ///< Adam with decoupled weight decay
};

/// What an optimizer keeps beside the weights.
struct OptimizerSpec {
  OptimizerKind kind = OptimizerKind::sgd;
  /// Whether it keeps an average of the weights.
  bool averages = false;

  /// Bytes in training of so many float32 parameters, their gradients and what it keeps of each.
  int64_t state_bytes(int64_t parameters) const {
    const int64_t kept = (kind == OptimizerKind::adamw ? 2 : 1) + (averages ? 1 : 0);
    return (2 + kept) * parameters * static_cast<int64_t>(sizeof(float));
  }
};

/// The numbers of one update.
struct UpdateOptions {
  /// Learning rate of the network's parameters.
  double learning_rate = 0.07;
  /// Learning rate of the class means.
  double learning_rate_means = 0.07;
  /// SGD's.
  double momentum = 0.9;
  /// AdamW's.
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  /// Weight decay of the network's parameters; the means have none.
  double weight_decay = 0.0;
  /// Largest norm of the network's gradient (the means are not clipped); 0: no limit.
  double clip_norm = 8.0;
  /// Decay of the average of the weights, where there is one.
  double average_decay = 0.999;
  /// Deviations above the mean gradient norm that make a step an outlier, which is skipped; 0:
  /// none.
  double skip_outliers = 0.0;
  /// The most steps in a row that may be skipped.
  int64_t bad_steps = 3;
};

/// Updates of the weights of a model by their gradients, over its flat buffers, behind a guard: a
/// step whose loss, gradients or running statistics are not finite, or whose gradient is an
/// outlier, changes nothing (kernels/optimizer/step_guard.h). The device decides, and nobody waits
/// for it.
class Optimizer {
 public:
  /// For the parameters of `store`, which must outlive it, on the device where they are.
  explicit Optimizer(ParameterStore& store, const OptimizerSpec& spec = {});

  /// One update without a loss, of the head alone if `head_only` (ParameterStore): then all else
  /// stays bit for bit, and its gradient is not looked at. Returns the norm of the network's
  /// gradient before clipping, not finite if any gradient is not. Waits for the device.
  double step(const UpdateOptions& options, bool head_only = false);

  /// The parts of a training step, in order. Only set_options asks anything of the host; the others
  /// can be part of a CudaGraph.
  /// Uploads the numbers of the updates to come.
  void set_options(const UpdateOptions& options);
  /// Remembers the running statistics, before a forward pass moves them.
  void keep_statistics();
  /// Judges and updates; `loss` f64 [1] is that of the step.
  void apply(const Tensor& loss, bool head_only = false);

  const OptimizerSpec& spec() const { return spec_; }
  /// f64 [kNormParts]: squared norms of the gradients of the network (of its part that was updated)
  /// and of the means, and of the running statistics, in the last update.
  const Tensor& squared_norms() const { return squared_norms_; }
  /// f64 [kGuardValues].
  const Tensor& guard() const { return guard_; }
  void set_guard(const GuardState& state) { state.write_to(guard_); }

  /// Momentum, or the first and second moments: one element per parameter value in the store's
  /// order.
  const std::vector<Tensor>& moments() const { return moments_; }
  /// The average of the weights; null: none is kept.
  WeightAverage* average() { return average_.get(); }
  /// What checkpoints hold of it: the moments, and the average if `with_average`.
  std::vector<FlatState> flat_states(bool with_average = true) const;

 private:
  Tensor zeros(const Shape& shape, DType dtype) const;
  void update(const Tensor& values, const Tensor& grads, int64_t offset, const Tensor& controls);

  ParameterStore& store_;
  OptimizerSpec spec_;
  std::vector<Tensor> moments_;
  std::unique_ptr<WeightAverage> average_;
  Tensor kept_statistics_;
  Tensor uploads_;   // f64: controls of both groups, then limits
  Tensor controls_;  // f64 [2, kUpdateControls]
  Tensor limits_;    // f64 [kGuardLimits]
  Tensor squared_norms_;
  Tensor guard_;
  StagingRing staging_;
};

}  // namespace pal
