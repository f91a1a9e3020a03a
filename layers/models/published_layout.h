#pragma once
// How published IB-INN checkpoints hold a flow (layers/models/README.md, 9): what the importer and
// the exporter both go by.
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "layers/models/config.h"

namespace pal {

/// What the names of a published network's blocks begin with; their number follows.
inline constexpr std::string_view kPublishedBlocks = "inn.module_list.";

/// How the values of a tensor of ours lie there.
enum class PublishedForm {
  plain,     ///< with the same extents, weights OIHW
  channels,  ///< [C] as [1, C, 1, 1]
  matrix,    ///< [C, C] as [C, C, 1, 1], beside its inverse kPublishedInverse
  index,     ///< an index map [C] as such a matrix of zeros and ones
  means,  ///< [M, D_mean] as [1, M, D_mean]; at full rank the rest as kPublishedRest, in the same way
  fixed  ///< not at all: everyone knows the values
};

/// A tensor of ours there.
struct PublishedTensor {
  std::string name;
  PublishedForm form = PublishedForm::plain;
};

/// Where a parameter or buffer of a flow, by our name, lies.
PublishedTensor published_tensor(const std::string& ours);

inline constexpr std::string_view kPublishedRest = "mu_conv";
/// What follows from the network, by its name after that of the block: inverse of the mixing, Haar's
/// and the squeezes' kernels (a number follows), the DCT's matrix and its inverse.
inline constexpr std::string_view kPublishedInverse = "w_inv";
inline constexpr std::string_view kPublishedHaar = "haar_weights";
inline constexpr std::string_view kPublishedSqueezes = "reshape_kernels.";
inline constexpr std::string_view kPublishedDct = "weight";
inline constexpr std::string_view kPublishedInverseDct = "inv_weight";
/// What PyTorch's batch norms count, by the end of its name.
inline constexpr std::string_view kTorchCounter = "num_batches_tracked";

/// Fields that leave no trace in names and shapes: every published network has those of the preset
/// ibinn-imagenet.
inline constexpr std::array<const char*, 7> kPublishedFixedFields = {
    "clamp", "act-norm", "welling", "gin", "dct", "latent-norm", "head-permutation"};

}  // namespace pal
