#pragma once
#include <optional>
#include <string>
#include <vector>

#include "experiments/planning/model_summary.h"

namespace pal {

/// A resolution of a network, as the paper's Table 1 lists them.
struct NetworkLevel {
  std::string name;      ///< image, entry, pool, stage 1, ..., head
  int64_t size = 0;      ///< of the level's result, pixels along either side; 1 behind the head
  int64_t channels = 0;  ///< of the level's result; of a ResNet's head what its linear layer reads
  int64_t blocks = 0;    ///< couplings, residual blocks, a ResNet's first convolution
  /// The most pixels of the image, along a side and in however large an image, that a value of the
  /// level's result depends on; none: all of them.
  std::optional<int64_t> receptive_field;
};

/// The levels of a network, from the kernels and strides of its layers, Haar, squeezes and pools.
/// A coupling's halves count as mixed: the larger of their fields is both's.
std::vector<NetworkLevel> network_levels(const ModelSummary& model);

/// The network of the other family on the same images and classes that the preset was made to be
/// compared with (ibinn-imagenet: resnet50, ibinn-small: resnet-small); none for other presets, for
/// ResNets, and where entry, blocks or strides are no more the preset's.
std::optional<ModelConfig> residual_counterpart(const ModelConfig& config);

}  // namespace pal
