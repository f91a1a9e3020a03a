#pragma once
#include <string>
#include <vector>

#include "kernels/resample/dct.h"
#include "layers/coupling_block.h"

namespace pal {

/// An invertible network with a latent mixture, or a residual network that only classifies.
enum class ModelFamily { flow, resnet };
/// The function inside a coupling, and the branch of a residual block (layers/subnet.h).
enum class SubnetKind { bottleneck, basic };
/// Which halves a coupling block changes: slow one (SlowCoupling), glow both (TwoSidedCoupling).
enum class CouplingKind { slow, glow };
/// What brings the image to the first stage. In a flow: `entry` a downsampling coupling, then Haar
/// and a pointwise coupling (ImageNet); `haar` Haar alone (single-channel images cannot be split).
/// In a ResNet, halving as often: `entry` a 7x7 convolution of stride 2, then max pooling; `haar` a
/// 3x3 convolution of stride 2. `cifar`, of a ResNet only: a 3x3 convolution of stride 1, the stem
/// of networks for images of 32 x 32 pixels.
enum class EntryKind { entry, haar, cifar };

/// Everything that defines a network. Field names are keys of configuration files and the long
/// options of the programs. A ResNet reads family, image-size, channels, classes, entry,
/// entry-width, blocks, strides, widths, subnet and compute; the others say nothing about it.
struct ModelConfig {
  std::string arch = "ibinn-mnist";
  ModelFamily family = ModelFamily::flow;
  int64_t image_size = 28;
  int64_t channels = 1;
  int64_t classes = 10;
  EntryKind entry = EntryKind::haar;
  /// The paper's 7x7 entry convolution, in a flow.
  bool entry_7x7 = false;
  /// Width of the entry's subnets; of a ResNet's first convolution.
  int64_t entry_width = 64;
  /// Per stage: blocks (downsampling one included), stride of the first, width of a coupling's
  /// subnets or of a residual block's 3x3 convolutions.
  std::vector<int64_t> blocks = {4, 4};
  std::vector<int64_t> strides = {1, 2};
  std::vector<int64_t> widths = {32, 64};
  SubnetKind subnet = SubnetKind::bottleneck;
  CouplingKind coupling = CouplingKind::slow;
  MixingKind mixing = MixingKind::permutation;
  int64_t reflections = 3;
  bool welling = false;
  bool gin = false;
  double clamp = 0.7;
  ActNormKind act_norm = ActNormKind::softplus;
  double act_norm_init = 1.0;
  /// Factor on the initial weights of each subnet's last convolution.
  double subnet_gain = 0.1;
  DctMap::Flavour dct = DctMap::Flavour::reference;
  /// Report the published (wrong) log-determinant of the DCT.
  bool dct_reported = false;
  /// An act norm over the latent dimensions after the DCT.
  bool latent_norm = true;
  int64_t rank = 0;
  double mu_init = 3.5;
  bool head_permutation = false;
  /// bf16: in a flow, subnets on a float32 stream; in a ResNet, all between image and logits.
  DType compute = DType::f32;
};

/// The named presets: ibinn-imagenet (reference flavour), ibinn-small, ibinn-mnist, resnet50,
/// resnet-small. Throws usage naming the presets for another name.
ModelConfig preset(const std::string& arch);
/// The names that preset() knows.
const std::vector<std::string>& preset_names();

/// Switches a configuration to the paper's text where it differs from the published code
/// (layers/models/README.md, 10). Changes nothing of a ResNet.
void apply_paper_flavour(ModelConfig& config);

/// Throws usage, naming the field and what is expected, if no network can be built from it. For a
/// flow, image sizes that cannot be halved often enough name the nearest legal ones; a ResNet takes
/// any size, since its strides round up.
void validate(const ModelConfig& config);

/// What a flow's image size must be a multiple of, so that it can be halved often enough; 1 for a
/// ResNet.
int64_t size_unit(const ModelConfig& config);

/// The configuration as the text of a JSON object, a key for each field.
std::string to_json(const ModelConfig& config);
/// The configuration that such a text holds; fields without a key keep their defaults. Unknown and
/// ill-typed keys throw usage naming the key and `where` it stood.
ModelConfig config_from_json(const std::string& json, const std::string& where);

/// Sets one field from text ("widths" "32,64"); returns false if there is no such field. Throws
/// usage, naming key and `where` it stood, for a value that the field cannot have.
bool set_field(ModelConfig& config, const std::string& key, const std::string& value,
               const std::string& where);
/// Names of all fields, in order.
std::vector<std::string> field_names();
/// A field's value as set_field would take it.
std::string field_text(const ModelConfig& config, const std::string& key);
/// The words that a field may be; empty for one that is no word.
std::vector<std::string> field_words(const std::string& key);

}  // namespace pal
