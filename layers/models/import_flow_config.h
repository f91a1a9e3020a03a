#pragma once
// What the names and shapes of a published IB-INN say about its architecture.
#include <map>
#include <string>
#include <vector>

#include "layers/models/import_tensors.h"

namespace pal {

/// The architecture of a published IB-INN.
struct PublishedFlow {
  ModelConfig config;
  /// Dimensions of the latent vector that are mean-pooled.
  int64_t mean_dims = 0;
  /// With mixing `permutation`: the index map of each block, by the name "...w_index".
  std::map<std::string, std::vector<int32_t>> permutations;
};

/// The architecture that the tensors of a file make. Throws data naming the tensor that is missing
/// or does not fit.
PublishedFlow infer_published_flow(const ImportTensors& tensors);

}  // namespace pal
