#include <fmt/format.h>

#include "layers/models/config.h"
#include "runtime/error.h"

namespace pal {
namespace {

/// IB-INN for 28x28 grey images: Haar first, since one channel cannot be split. Couplings and
/// subnets were found by measuring (experiments/NOTES.md).
ModelConfig ibinn_mnist() {
  ModelConfig config;
  config.coupling = CouplingKind::glow;
  config.clamp = 2.0;
  config.subnet = SubnetKind::basic;
  config.widths = {16, 32};
  return config;
}

/// IB-INN for 32x32 colour images.
ModelConfig ibinn_small() {
  ModelConfig config = ibinn_mnist();
  config.arch = "ibinn-small";
  config.image_size = 32;
  config.channels = 3;
  config.blocks = {4, 4, 4};
  config.strides = {1, 2, 2};
  config.widths = {16, 32, 64};
  return config;
}

/// The network of the published checkpoints (layers/models/README.md, 6).
ModelConfig ibinn_imagenet() {
  ModelConfig config;
  config.arch = "ibinn-imagenet";
  config.image_size = 224;
  config.channels = 3;
  config.classes = 1000;
  config.entry = EntryKind::entry;
  config.blocks = {3, 4, 6, 3};
  config.strides = {1, 2, 2, 2};
  config.widths = {64, 128, 256, 512};
  config.act_norm_init = 0.7;
  config.subnet_gain = 1.0;
  config.latent_norm = false;
  config.rank = 128;
  config.head_permutation = true;
  return config;
}

/// ResNet-50 (layers/models/README.md, 8).
ModelConfig resnet50() {
  ModelConfig config;
  config.arch = "resnet50";
  config.family = ModelFamily::resnet;
  config.image_size = 224;
  config.channels = 3;
  config.classes = 1000;
  config.entry = EntryKind::entry;
  config.blocks = {3, 4, 6, 3};
  config.strides = {1, 2, 2, 2};
  config.widths = {64, 128, 256, 512};
  return config;
}

/// The skeleton of ibinn-small with residual blocks: its stages see the same sizes.
ModelConfig resnet_small() {
  ModelConfig config;
  config.arch = "resnet-small";
  config.family = ModelFamily::resnet;
  config.image_size = 32;
  config.channels = 3;
  config.entry_width = 32;
  config.blocks = {4, 4, 4};
  config.strides = {1, 2, 2};
  config.widths = {32, 64, 128};
  config.subnet = SubnetKind::basic;
  return config;
}

}  // namespace

const std::vector<std::string>& preset_names() {
  static const std::vector<std::string> names = {"ibinn-imagenet", "ibinn-small", "ibinn-mnist",
                                                 "resnet50", "resnet-small"};
  return names;
}

ModelConfig preset(const std::string& arch) {
  if (arch == "ibinn-mnist") return ibinn_mnist();
  if (arch == "ibinn-small") return ibinn_small();
  if (arch == "ibinn-imagenet") return ibinn_imagenet();
  if (arch == "resnet50") return resnet50();
  if (arch == "resnet-small") return resnet_small();
  fail(ErrorKind::usage, "arch: expected {}, got '{}'", fmt::join(preset_names(), ", "), arch);
}

void apply_paper_flavour(ModelConfig& config) {
  if (config.family == ModelFamily::resnet) return;
  config.entry_7x7 = config.entry == EntryKind::entry;
  config.act_norm = ActNormKind::paper;
  config.act_norm_init = 1.0;
  config.mixing = MixingKind::orthogonal;
  config.dct = DctMap::Flavour::orthonormal;
}

}  // namespace pal
