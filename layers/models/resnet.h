#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "layers/models/model.h"
#include "layers/residual_block.h"

namespace pal {

/// A residual network, v1.5: the stride of a bottleneck is on its 3x3 convolution (He et al. 2016;
/// layers/models/README.md, 8). Entry `entry`: 7x7/2 convolution and 3x3/2 max pool; `haar`: 3x3/2
/// convolution; `cifar`: 3x3/1 convolution. Then stages of blocks, the mean over all pixels and a
/// linear layer. Parameters and buffers are named as in torchvision.
///
/// Convolutions start normal with variance 2 / fan out, batch norms at 1 and 0, the linear layer
/// normal with the variance of torch's uniform distribution, 1 / (3 fan in).
class ResNet : public Model {
 public:
  /// The network without memory for its parameters yet. Throws usage as validate().
  explicit ResNet(const ModelConfig& config);
  /// The network with memory; parameters are drawn from `seed`.
  ResNet(const ModelConfig& config, uint64_t seed, DType dtype = DType::f32);

  int policy_blocks() const override { return static_cast<int>(blocks_.size()); }
  /// What residual blocks keep for the backward pass: `store` (the start) or `recompute`; `invert`
  /// throws usage. The stem always keeps everything.
  void set_policies(const std::vector<BlockPolicy>& policies) override;
  StepVariant step_variant() const override { return {policies_, {}, average_count_, norm_ranks_}; }

  /// Logits [n, classes], in the dtype of the parameters, of normalised images [n, h, w, c].
  Variable forward(const Variable& x, Phase phase);
  /// The final feature map [n, h', w', features] of normalised images, before the mean over its
  /// pixels, in the dtype of the blocks.
  Variable feature_map(const Variable& x, Phase phase);

  /// As Model says; the loss is the mean cross-entropy times loss.factor, whatever beta is.
  LossResult forward_backward(const Tensor& x, const Tensor& targets, const LossSpec& loss,
                              Phase phase = Phase::train, Tensor* grad_x = nullptr) override;
  LossResult forward_backward_head(const Tensor& x, const Tensor& targets,
                                   const LossSpec& loss) override;
  LossResult evaluate(const Tensor& x, const Tensor& targets, const LossSpec& loss) override;
  Tensor input_gradient(const Tensor& x, const ScoreFunction& function) override;
  void update_statistics(const Tensor& x) override;
  void set_average_count(int64_t batches) override;
  void on_gradients(std::function<void(int64_t from)> complete) override;

  /// A residual block and the prefix of its parameters' names: "layer1.0".
  struct NamedBlock {
    std::string name;
    std::unique_ptr<ResidualBlock> block;
  };
  /// The convolution, batch norm and ReLU at the front.
  const Subnet& stem() const { return *stem_; }
  const std::vector<NamedBlock>& blocks() const { return blocks_; }
  /// Channels that the linear layer reads.
  int64_t features() const { return features_; }

 private:
  void initialise(uint64_t seed, DType dtype) override;
  void derive() override {}
  void synchronise_subnets(Communicator* ranks) override;
  /// What the linear layer reads: means over the pixels, [n, features] in the parameters' dtype.
  Variable pooled(const Variable& x, Phase phase);
  /// x, from which on parameters stand at place `from` of the flat buffer and behind: a backward
  /// pass that comes by says that their gradients are complete.
  Variable watched(const Variable& x, int64_t from) const;

  std::unique_ptr<Subnet> stem_;
  std::vector<NamedBlock> blocks_;
  int64_t features_ = 0;
  Parameter fc_weight_;  // [classes, features]
  Parameter fc_bias_;
  std::vector<BlockPolicy> policies_;           // one per block
  std::function<void(int64_t from)> complete_;  // null: nobody wants to know
  std::vector<int64_t> begins_;                 // of blocks' parameters, where somebody does
};

/// The max pool behind the 7x7 convolution.
inline constexpr PoolGeometry kStemPool = {3, 2, 1};

}  // namespace pal
