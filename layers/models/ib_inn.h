#pragma once
#include <memory>
#include <string>
#include <vector>

#include "autograd/invertible.h"
#include "layers/mixture_head.h"
#include "layers/models/model.h"

namespace pal {

/// An invertible network with a latent mixture: classifier and density in one (model.md, section
/// 6).
class IbInn : public Model {
 public:
  /// Without memory for its parameters yet.
  explicit IbInn(const ModelConfig& config);
  /// Draws parameters and fixed maps from `seed`.
  IbInn(const ModelConfig& config, uint64_t seed, DType dtype = DType::f32);

  InvertibleChain& chain() { return chain_; }
  const InvertibleChain& chain() const { return chain_; }
  MixtureHead& head() { return *head_; }
  const MixtureHead& head() const { return *head_; }

  /// z [n, D] and log_det f64 [n] of normalised images [n, h, w, c].
  InvertibleChain::Result forward(const Variable& x, Phase phase) {
    return chain_.forward(x, phase);
  }
  /// Images from latent vectors (running statistics).
  Tensor inverse(const Tensor& z, const Tensor& log_det = {}) const {
    return chain_.inverse(z, log_det);
  }

  /// Without anchors; `chain().set_options` says more.
  int policy_blocks() const override { return chain_.size(); }
  void set_policies(const std::vector<BlockPolicy>& policies) override;
  MixtureResult train_step(const Tensor& x, const Tensor& targets, const LossSpec& loss,
                           Phase phase = Phase::train, Tensor* grad_x = nullptr) override;
  MixtureResult evaluate(const Tensor& x, const Tensor& targets, const LossSpec& loss) override;
  void update_statistics(const Tensor& x) override;
  void set_average_count(int64_t batches) override;

  /// Losses and gradients of the class means alone: the network runs in its evaluation phase and
  /// gets no gradient (the fine-tuning phase of experiments.md, section 2).
  MixtureResult train_means_step(const Tensor& x, const Tensor& targets, const LossSpec& loss);

  /// Data-dependent initialisation on a batch of normalised images: every coupling block's act norm
  /// makes its output's channels centred with unit variance, the last one such that the latent
  /// vector has unit mean square.
  void fit_act_norms(const Tensor& x);

 private:
  void initialise(uint64_t seed, DType dtype) override;
  void derive() override;

  InvertibleChain chain_;
  std::unique_ptr<MixtureHead> head_;
};

/// The chain of a configuration alone, without memory for its parameters.
void build_chain(const ModelConfig& config, InvertibleChain& chain);
/// The head's sizes for a configuration.
MixtureSpec mixture_spec(const ModelConfig& config);

}  // namespace pal
