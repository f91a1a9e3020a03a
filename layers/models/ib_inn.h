#pragma once
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "autograd/invertible.h"
#include "layers/act_norm_table.h"
#include "layers/mixture_head.h"
#include "layers/models/model.h"

namespace pal {

/// How IbInn::fit_act_norms goes about it.
struct ActNormFit {
  /// Names of the blocks whose act norms are fitted, `blocks.<i>`; none: those of all blocks. An
  /// empty list fits nothing.
  std::optional<std::vector<std::string>> only = std::nullopt;
  /// The most images that run through a block at once, in equal parts; 0: all. It bounds memory:
  /// beside one part's subnets, two streams of all images are held. Batch norms of the training
  /// phase see one part at a time, as they see one batch in training.
  int64_t most = 0;
  /// The phase in which the blocks run: `train`, which moves running statistics, for a network that
  /// is to be trained; `evaluate`, which moves nothing, for one that stays as it is.
  Phase phase = Phase::train;
};

/// An invertible network with a latent mixture: classifier and density in one
/// (layers/models/README.md, 6).
class IbInn : public Model {
 public:
  /// The network without memory for its parameters yet. Throws usage as validate().
  explicit IbInn(const ModelConfig& config);
  /// The network with memory; parameters and fixed maps are drawn from `seed`.
  IbInn(const ModelConfig& config, uint64_t seed, DType dtype = DType::f32);

  InvertibleChain& chain() { return chain_; }
  const InvertibleChain& chain() const { return chain_; }
  MixtureHead& head() { return *head_; }
  const MixtureHead& head() const { return *head_; }

  /// z [n, D] and log_det f64 [n], nats, of normalised images [n, h, w, c].
  InvertibleChain::Result forward(const Variable& x, Phase phase) {
    prepare();
    return chain_.forward(x, phase);
  }
  /// Normalised images [n, h, w, c] from latent vectors z [n, D], with running statistics; adds the
  /// inverse's log-determinant to log_det, f64 [n], if that is defined.
  Tensor inverse(const Tensor& z, const Tensor& log_det = {}) const {
    return chain_.inverse(z, log_det);
  }

  int policy_blocks() const override { return chain_.size(); }
  /// Sets the policies and removes all anchors; chain().set_options sets both.
  void set_policies(const std::vector<BlockPolicy>& policies) override;
  StepVariant step_variant() const override;
  LossResult forward_backward(const Tensor& x, const Tensor& targets, const LossSpec& loss,
                              Phase phase = Phase::train, Tensor* grad_x = nullptr) override;
  void on_gradients(std::function<void(int64_t from)> complete) override;
  LossResult forward_backward_head(const Tensor& x, const Tensor& targets,
                                   const LossSpec& loss) override;
  LossResult evaluate(const Tensor& x, const Tensor& targets, const LossSpec& loss) override;
  Tensor input_gradient(const Tensor& x, const ScoreFunction& function) override;
  void update_statistics(const Tensor& x) override;
  void set_average_count(int64_t batches) override;
  /// Also for an act norm with a scale of 0, whose inverse does not exist.
  void check_usable(const std::string& when) override;

  /// Data-dependent initialisation on normalised images: every coupling block's act norm makes its
  /// output's channels centred with unit variance, the last one such that the latent vector has
  /// unit mean square; a latent act norm does so for every latent dimension, and then the last
  /// coupling keeps its own. Throws usage for a name in `how.only` that is no block with an act
  /// norm.
  void fit_act_norms(const Tensor& x, const ActNormFit& how = {});

 private:
  void initialise(uint64_t seed, DType dtype) override;
  void derive() override;
  void prepare() override;
  void synchronise_subnets(Communicator* ranks) override;
  std::vector<Subnet*> subnets() const;
  std::set<std::string> act_norms_to_fit(const ActNormFit& how) const;

  InvertibleChain chain_;
  ActNormTable act_norms_;
  std::unique_ptr<MixtureHead> head_;
};

/// Adds the blocks of a configuration to `chain`, without memory for their parameters. Throws usage
/// as validate().
void build_chain(const ModelConfig& config, InvertibleChain& chain);
/// The sizes of the mixture that a configuration's network ends in.
MixtureSpec mixture_spec(const ModelConfig& config);

}  // namespace pal
