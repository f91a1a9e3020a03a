#pragma once
#include <memory>
#include <string>
#include <vector>

#include "autograd/invertible.h"
#include "layers/mixture_head.h"
#include "layers/models/config.h"

namespace pal {

/// An invertible network with a latent mixture: classifier and density in one (model.md, section
/// 6).
class IbInn {
 public:
  /// Builds the network, draws parameters and fixed maps from `seed`. dtype f64 serves gradient
  /// checks.
  IbInn(const ModelConfig& config, uint64_t seed, DType dtype = DType::f32);

  const ModelConfig& config() const { return config_; }
  InvertibleChain& chain() { return chain_; }
  const InvertibleChain& chain() const { return chain_; }
  MixtureHead& head() { return *head_; }
  const MixtureHead& head() const { return *head_; }
  ParameterStore& parameters() { return store_; }
  const ParameterStore& parameters() const { return store_; }
  /// Parameters and buffers by name, for checkpoints.
  const StateList& state() const { return state_; }
  int64_t dims() const { return config_.channels * config_.image_size * config_.image_size; }
  DType dtype() const { return store_.dtype(); }

  /// Moves parameters, gradients and buffers to another device (optimizers are made afterwards).
  void to(Device device);
  Device device() const { return store_.all_values().device(); }
  /// To be called after buffers were changed from outside, as a loader does: renews what is derived
  /// from them.
  void refresh();

  /// z [n, D] and log_det f64 [n] of normalised images [n, h, w, c].
  InvertibleChain::Result forward(const Variable& x, Phase phase) {
    return chain_.forward(x, phase);
  }
  /// Images from latent vectors (running statistics).
  Tensor inverse(const Tensor& z, const Tensor& log_det = {}) const {
    return chain_.inverse(z, log_det);
  }

  /// Forward, loss and backward: gradients are added to the parameters'. If grad_x is not null, the
  /// gradient of the images goes there.
  MixtureResult train_step(const Tensor& x, const Tensor& targets, const LossSpec& loss,
                           Phase phase = Phase::train, Tensor* grad_x = nullptr);
  /// Losses without gradients, with running statistics.
  MixtureResult evaluate(const Tensor& x, const Tensor& targets, const LossSpec& loss);

  /// Data-dependent initialisation on a batch of normalised images: every coupling block's act norm
  /// makes its output's channels centred with unit variance, the last one such that the latent
  /// vector has unit mean square.
  void fit_act_norms(const Tensor& x);

  /// All batch norms use a cumulative average from now on: call before batch k = 1, 2, ...; 0 ends
  /// it.
  void set_average_count(int64_t batches);
  /// Throws numerics naming the first tensor of parameters, gradients or running statistics that
  /// holds a non-finite value; does nothing if all is finite.
  void check_finite(const std::string& when) const;

 private:
  ModelConfig config_;
  InvertibleChain chain_;
  std::unique_ptr<MixtureHead> head_;
  StateList state_;
  ParameterStore store_;
};

/// The chain of a configuration alone, without memory for its parameters.
void build_chain(const ModelConfig& config, InvertibleChain& chain);
/// The head's sizes for a configuration.
MixtureSpec mixture_spec(const ModelConfig& config);

}  // namespace pal
