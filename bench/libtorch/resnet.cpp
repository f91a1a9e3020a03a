#include "bench/libtorch/network.h"

namespace rival {
namespace {

using Spec = LayerSpec;

/// Convolution, batch norm and ReLU, then max pooling if `pooled`.
class Stem : public Block {
 public:
  Stem(Weights& weights, bool pooled)
      : layers_(weights, "", {Spec::conv(2, "conv1"), Spec::norm("bn1"), Spec::relu()},
                kResidualMomentum),
        pooled_(pooled) {}
  BlockResult forward(const at::Tensor& x, const Pass& pass) const override {
    const at::Tensor y = layers_.forward(x, pass);
    return {pooled_ ? at::max_pool2d(y, 3, 2, 1) : y, {}};
  }

 private:
  Subnet layers_;
  bool pooled_;
};

/// max(branch(x) + shortcut(x), 0).
class Residual : public Block {
 public:
  Residual(Weights& weights, const std::string& prefix, bool bottleneck, int64_t stride)
      : branch_(weights, prefix, branch_spec(bottleneck, stride), kResidualMomentum) {
    if (!weights.has(prefix + "downsample.0.weight")) return;
    const SubnetSpec projection = {Spec::conv(stride), Spec::norm()};
    shortcut_ =
        std::make_unique<Subnet>(weights, prefix + "downsample.", projection, kResidualMomentum);
  }
  BlockResult forward(const at::Tensor& x, const Pass& pass) const override {
    at::Tensor y = branch_.forward(x, pass);
    // Batch norm does not look at its result again.
    y.add_(shortcut_ ? shortcut_->forward(x, pass) : x);
    return {y.relu_(), {}};
  }

 private:
  static SubnetSpec branch_spec(bool bottleneck, int64_t stride) {
    if (bottleneck)
      return {Spec::conv(1, "conv1"),      Spec::norm("bn1"), Spec::relu(),
              Spec::conv(stride, "conv2"), Spec::norm("bn2"), Spec::relu(),
              Spec::conv(1, "conv3"),      Spec::norm("bn3")};
    return {Spec::conv(stride, "conv1"), Spec::norm("bn1"), Spec::relu(), Spec::conv(1, "conv2"),
            Spec::norm("bn2")};
  }

  Subnet branch_;
  std::unique_ptr<Subnet> shortcut_;
};

class ResNet : public Network {
 public:
  ResNet(Weights& weights, const NetworkConfig& config) : Network(weights.settings()) {
    add(std::make_unique<Stem>(weights, config.entry == "entry"));
    for (size_t stage = 0; stage < config.blocks.size(); ++stage)
      for (int64_t i = 0; i < config.blocks[stage]; ++i)
        add(std::make_unique<Residual>(
            weights, "layer" + std::to_string(stage + 1) + "." + std::to_string(i) + ".",
            config.subnet == "bottleneck", i == 0 ? config.strides[stage] : 1));
    weight_ = weights.parameter("fc.weight");
    bias_ = weights.parameter("fc.bias");
  }

  at::Tensor scores(const at::Tensor& top) const override {
    return at::linear(top.mean({2, 3}).to(at::kFloat), weight_, bias_);
  }
  at::Tensor loss(const BlockResult& top, const at::Tensor& labels) const override {
    return at::cross_entropy_loss(scores(top.y), labels);
  }

 private:
  at::Tensor weight_, bias_;
};

}  // namespace

std::unique_ptr<Network> make_resnet(Weights& weights, const NetworkConfig& config) {
  return std::make_unique<ResNet>(weights, config);
}

}  // namespace rival
