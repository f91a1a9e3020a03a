#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "autograd/invertible.h"
#include "autograd/weight_mirror.h"
#include "layers/loss.h"
#include "layers/model_scores.h"
#include "layers/models/config.h"

namespace pal {

class Communicator;

/// What a training step of a model depends on beside its arguments and what tensors hold. Steps of
/// equal variants ask the same of the device, so that a recording of one stands for the other.
struct StepVariant {
  std::vector<BlockPolicy> policies;
  std::vector<int> anchors;
  int64_t average_count = 0;            ///< of Model::set_average_count
  const Communicator* norms = nullptr;  ///< of Model::synchronise_norms
  bool operator==(const StepVariant&) const = default;
};

/// A classifier of images that can be trained: an IB-INN, or a ResNet to compare it with.
class Model {
 public:
  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const ModelConfig& config() const { return config_; }
  /// How many values an image has: channels * height * width.
  int64_t dims() const { return config_.channels * config_.image_size * config_.image_size; }
  /// Whether the model says how likely an image is; else nll_joint and nll_class are zeros.
  bool has_density() const { return config_.family == ModelFamily::flow; }

  /// Parameters and buffers by name, for checkpoints. Before materialise() they have no memory.
  const StateList& state() const { return state_; }
  /// Gives the parameters and buffers their memory and draws their values from `seed`; without one
  /// parameters are not drawn, as they are to be loaded. dtype f64 serves gradient checks.
  void materialise(std::optional<uint64_t> seed, DType dtype = DType::f32);
  /// Gives everything a shape, but no memory: on the meta device of `device`, to count what steps
  /// there would allocate.
  void materialise_meta(Device device);
  ParameterStore& parameters() { return store_; }
  const ParameterStore& parameters() const { return store_; }
  DType dtype() const { return store_.dtype(); }

  /// Moves parameters, gradients and buffers to another device (optimizers are made afterwards).
  void to(Device device);
  Device device() const { return store_.all_values().device(); }
  /// To be called after buffers were changed from outside, as a loader does: renews what is derived
  /// from them.
  void refresh();

  /// Blocks that have a policy, in the order of execution.
  virtual int policy_blocks() const = 0;
  /// What blocks keep for the backward pass: one policy for each, or one for all. Throws usage for
  /// another number, and for `invert` if they cannot be inverted.
  virtual void set_policies(const std::vector<BlockPolicy>& policies) = 0;
  void set_policy(BlockPolicy policy) { set_policies({policy}); }
  /// What the training steps to come depend on, monitored ones apart.
  virtual StepVariant step_variant() const = 0;

  /// Forward pass, loss and backward pass for normalised images x [n, h, w, c] and soft targets
  /// [n, classes]: adds to the gradients of the parameters, but does not change them. If grad_x is
  /// not null, it becomes the gradient of the images, in new memory.
  virtual LossResult forward_backward(const Tensor& x, const Tensor& targets, const LossSpec& loss,
                                      Phase phase = Phase::train, Tensor* grad_x = nullptr) = 0;
  /// Called in the backward passes to come each time that more gradients are complete: all from
  /// place `from` of the flat buffer on. Those before the first block are complete at the end. Null:
  /// nobody.
  virtual void on_gradients(std::function<void(int64_t from)> complete) = 0;
  /// Losses as of forward_backward, but gradients of the head alone, added to theirs: of the class
  /// means of a flow, of the linear layer of a ResNet (Parameter::head). The network before it runs
  /// in its evaluation phase, is not recorded and gets no gradient (layers/models/README.md, 11).
  virtual LossResult forward_backward_head(const Tensor& x, const Tensor& targets,
                                           const LossSpec& loss) = 0;
  /// Losses of x and soft targets, without gradients and with running statistics.
  virtual LossResult evaluate(const Tensor& x, const Tensor& targets, const LossSpec& loss) = 0;
  /// The gradient of the images x [n, h, w, c], normalised, of a function of what the model says of
  /// them with running statistics; in new memory. Parameters get no gradient, nor is the work for
  /// theirs done (layers/models/README.md, 12). Throws usage for derivatives that do not fit.
  virtual Tensor input_gradient(const Tensor& x, const ScoreFunction& function) = 0;
  /// What the model says of normalised images, with running statistics.
  ModelScores scores_of(const Tensor& x);
  /// Moves the running statistics by the batch x, and changes nothing else.
  virtual void update_statistics(const Tensor& x) = 0;
  /// Makes the running statistics of all batch norms the average over batches to come: to be called
  /// with k before batch k = 1, 2, ...; 0 goes back to the moving average.
  virtual void set_average_count(int64_t batches) = 0;

  /// Gives batch norms the statistics of the batches of all ranks together, in gradients too and
  /// whatever the sizes of their batches, at least one image each; running statistics then stay
  /// equal. `ranks` exchanges tensors on the model's device and outlives this. With null, or one
  /// rank, each rank's norms see its own batch alone, as published. All ranks then run all passes of
  /// the training phase together, those of update_statistics and fit_act_norms included.
  void synchronise_norms(Communicator* ranks);
  bool norms_synchronised() const { return norm_ranks_ != nullptr; }

  /// Throws numerics naming the first tensor of parameters or running statistics that holds a
  /// non-finite value, or parameters that no pass can use.
  virtual void check_usable(const std::string& when);

 protected:
  explicit Model(const ModelConfig& config) : config_(config) {}
  /// Makes the buffers in `dtype` and fills what needs more than an Init.
  virtual void initialise(uint64_t seed, DType dtype) = 0;
  /// Renews what is derived from buffers.
  virtual void derive() = 0;

  /// Hands these ranks, or null, to all subnets.
  virtual void synchronise_subnets(Communicator* ranks) = 0;

  /// To be called before each pass: renews what is derived from parameters. The first call on a
  /// device makes memory for it, which must not fall into the recording of a graph: to() does.
  virtual void prepare();

  ModelConfig config_;
  StateList state_;
  int64_t average_count_ = 0;
  Communicator* norm_ranks_ = nullptr;  // null: norms are not synchronised

 private:
  ParameterStore store_;
  WeightMirror mirror_;
};

/// The network of a configuration, without memory for its parameters yet. Throws usage as
/// `validate`.
std::unique_ptr<Model> build_model(const ModelConfig& config);

}  // namespace pal
