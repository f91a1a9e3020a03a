#include "bench/libtorch/couplings.h"
#include "bench/libtorch/fixed_maps.h"
#include "bench/libtorch/mixture_head.h"
#include "bench/libtorch/network.h"

namespace rival {
namespace {

using Spec = LayerSpec;

SubnetSpec norm_relu_convs(const std::vector<int64_t>& strides) {
  SubnetSpec spec;
  for (const int64_t stride : strides)
    spec.insert(spec.end(), {Spec::norm(), Spec::relu(), Spec::conv(stride)});
  return spec;
}

/// Blocks are named `blocks.<i>`, counted from 1, fixed maps included.
class IbInn : public Network {
 public:
  IbInn(Weights& weights, const NetworkConfig& config)
      : Network(weights.settings()), config_(config) {
    channels_ = config.channels;
    size_ = config.image_size;
    if (config.entry == "entry")
      entry(weights);
    else
      haar();
    for (size_t stage = 0; stage < config.blocks.size(); ++stage)
      for (int64_t i = 0; i < config.blocks[stage]; ++i)
        stage_block(weights, i == 0 && config.strides[stage] == 2);
    add(std::make_unique<DctPooling>(settings(), config, size_, channels_));
    if (config.latent_norm) add(std::make_unique<LatentNorm>(weights, prefix(), config.act_norm));
    head_ = std::make_unique<MixtureHead>(weights, config);
  }

  at::Tensor scores(const at::Tensor& top) const override { return head_->scores(top); }
  at::Tensor loss(const BlockResult& top, const at::Tensor& labels) const override {
    return head_->loss(top.y, top.log_det, labels);
  }

 private:
  std::string prefix() const { return "blocks." + std::to_string(blocks().size() + 1) + "."; }

  void halved() {
    channels_ *= 4;
    size_ /= 2;
  }

  void downsampling(Weights& weights, const SubnetSpec& strided, const SubnetSpec& low_res) {
    add(std::make_unique<TwoSidedCoupling>(weights, prefix(), config_, channels_,
                                           /*downsample=*/true, strided, low_res));
    halved();
  }

  void plain(Weights& weights, const SubnetSpec& subnet) {
    if (config_.coupling == "slow")
      add(std::make_unique<SlowCoupling>(weights, prefix(), config_, channels_, subnet));
    else
      add(std::make_unique<TwoSidedCoupling>(weights, prefix(), config_, channels_,
                                             /*downsample=*/false, subnet, subnet));
  }

  void haar() {
    add(std::make_unique<Haar>(settings(), channels_));
    halved();
  }

  void entry(Weights& weights) {
    SubnetSpec strided = {Spec::conv(config_.entry_7x7 ? 2 : 1), Spec::norm(), Spec::relu()};
    if (!config_.entry_7x7)
      strided.insert(strided.end(), {Spec::conv(2), Spec::norm(), Spec::relu()});
    strided.push_back(Spec::conv());
    downsampling(weights, strided, {Spec::conv(), Spec::norm(), Spec::relu(), Spec::conv()});
    haar();
    plain(weights, {Spec::conv(), Spec::relu(), Spec::conv()});
  }

  void stage_block(Weights& weights, bool halves) {
    const bool bottleneck = config_.subnet == "bottleneck";
    const auto subnet = [&](int64_t stride) {
      return norm_relu_convs(bottleneck ? std::vector<int64_t>{1, stride, 1, 1}
                                        : std::vector<int64_t>{1, stride, 1});
    };
    if (halves)
      downsampling(weights, subnet(2), subnet(1));
    else
      plain(weights, subnet(1));
  }

  NetworkConfig config_;
  int64_t channels_, size_;
  std::unique_ptr<MixtureHead> head_;
};

}  // namespace

std::unique_ptr<Network> make_ib_inn(Weights& weights, const NetworkConfig& config) {
  return std::make_unique<IbInn>(weights, config);
}

}  // namespace rival
