#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "layers/checkpoint/tensor_source.h"
#include "layers/models/model_io.h"

namespace pal {

/// What others have published that we can read.
enum class ImportLayout {
  /// IB-INN: {'inn': state dictionary, 'mu', 'mu_t', 'mu_m', 'opt'} (layers/models/README.md, 9).
  ib_inn,
  /// A ResNet's state dictionary in torchvision's names, alone or in a training script's file.
  resnet
};

/// A network in a file of tensors, told by their names.
struct ImportNetwork {
  ImportLayout layout = ImportLayout::resnet;
  /// What a user calls it: the keys that lead to it, without the wrappers that PyTorch's modules
  /// put around a network (`module.` of DataParallel and averages, `_orig_mod.` of compiled ones);
  /// "." for a network that the file holds without a key.
  std::string key;
  /// What its tensors' names begin with in the file: "state_dict.module.".
  std::string prefix;
  /// Of an IB-INN, the wrappers within its names: "inn.module.module_list.0.w" has "module.".
  std::string wrapper;
  /// Keys, in its own prefix, under which other networks lie; of the chosen network only.
  std::set<std::string> inner;

  /// Name in the file of the tensor that the published layout calls `name`.
  std::string file_name(const std::string& name) const;
  /// The inverse; none for a tensor outside the network.
  std::optional<std::string> published_name(const std::string& file_name) const;
};

/// The networks among tensors of these names, in their order.
std::vector<ImportNetwork> import_networks(const std::vector<std::string>& tensor_names);
/// The networks of a file.
std::vector<ImportNetwork> import_networks(const TensorSource& source);
/// Keys for a message: `"state_dict", "state_dict_ema"`, the first few if there are many.
std::string key_list(const std::vector<std::string>& keys);

/// What the user says of a file, beyond what it tells.
struct ImportChoice {
  /// The network's key; empty if there is only one.
  std::string key;
  /// Entry of a ResNet, whose stride leaves no trace in a file; none: `entry` for a 7x7 convolution
  /// and `cifar` for a 3x3 one.
  std::optional<EntryKind> entry;
};

/// A published model as a checkpoint of ours.
struct ImportedModel {
  ModelConfig config;
  Checkpoint checkpoint;
  int64_t parameters = 0;  ///< how many values the network's parameters have
  /// Tensors that the network does not need: how many there are of each kind.
  std::map<std::string, int64_t> ignored;
  /// What the file does not tell and the choice left open, a line each.
  std::vector<std::string> assumed;
  /// Names, in the file, of tensors with values that are not finite.
  std::vector<std::string> non_finite;
};

/// Reads a published model: the configuration is inferred from names and shapes, except for what
/// they cannot tell (clamp, act norm, strides of a ResNet), where the published networks' values
/// hold. Without class names in `input` they are "0", "1", ... Holds one tensor of the file at a
/// time. Throws data naming file and tensor, wanted and found, for a tensor that is missing,
/// ill-shaped or not part of the network, for an unknown layout, and naming all networks for a file
/// of several; usage if no network has the chosen key or entry, or the number of class names is not
/// that of the classes.
ImportedModel import_model(const TensorSource& source, const InputSpec& input,
                           const ImportChoice& choice = {});

}  // namespace pal
