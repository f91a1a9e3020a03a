#pragma once
#include <cstdint>
#include <map>
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
  resnet,
  unknown
};
/// What a file holds, by the names of its tensors.
ImportLayout import_layout(const TensorSource& source);

/// A published model as a checkpoint of ours.
struct ImportedModel {
  ModelConfig config;
  Checkpoint checkpoint;
  int64_t parameters = 0;  ///< how many values the network's parameters have
  /// Tensors that the network does not need: how many there are of each kind.
  std::map<std::string, int64_t> ignored;
  /// Names, in the file, of tensors with values that are not finite.
  std::vector<std::string> non_finite;
};

/// Reads a published model: the configuration is inferred from names and shapes, except for what
/// they cannot tell (clamp, act norm, strides of a ResNet), where the published networks' values
/// hold. Without class names in `input` they are "0", "1", ... Holds one tensor of the file at a
/// time. Throws data naming file and tensor, wanted and found, for a tensor that is missing,
/// ill-shaped or not part of the network, and for an unknown layout; usage if the number of class
/// names is not that of the classes.
ImportedModel import_model(const TensorSource& source, const InputSpec& input);

}  // namespace pal
