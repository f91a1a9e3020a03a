#pragma once
#include <string>
#include <vector>

#include "autograd/invertible.h"
#include "kernels/pool/pool.h"
#include "layers/models/config.h"
#include "layers/subnet.h"

namespace pal {

/// One subnet (of a ResNet: stem, branch or shortcut) of a block, for one sample.
struct SubnetSummary {
  std::string name;
  std::vector<LayerSummary> layers;
  int64_t output_bytes = 0;  ///< of a coupling's s and t, or of the branch's result
};

/// One block of the chain, for one sample.
struct BlockSummary {
  std::string name;
  std::string kind;
  Shape input;
  Shape output;
  int64_t parameters = 0;
  int64_t multiply_adds = 0;  ///< convolutions, and mixing matrices that are multiplied
  int64_t mixing = 0;         ///< those among them of the mixing matrix
  int64_t dense_mixing = 0;   ///< what a dense channel mixing costs: channels^2 x pixels
  std::vector<SubnetSummary> subnets;
  /// The windows by which the block itself, without its subnets, halves the resolution: Haar,
  /// squeeze, max pool.
  PoolGeometry window = {1, 1, 0};

  /// Whether it is one of Model::policy_blocks(): all of a flow, the residual ones of a ResNet.
  bool has_policy = false;
};

/// A network's blocks, and sums over them.
struct ModelSummary {
  ModelConfig config;
  std::vector<BlockSummary> blocks;
  int64_t parameters_network = 0;
  int64_t parameters_total = 0;  ///< with the class means, or a ResNet's linear layer
  int64_t multiply_adds = 0;
  int64_t multiply_adds_mixing = 0;  ///< those among them of mixing matrices
  int64_t multiply_adds_dense_mixing = 0;

  int64_t parameters_head() const { return parameters_total - parameters_network; }
  /// Those of the convolutions, and of every mixing as a dense one.
  int64_t multiply_adds_with_dense_mixing() const {
    return multiply_adds - multiply_adds_mixing + multiply_adds_dense_mixing;
  }
};

/// Sizes of a configuration's network, for one sample; no parameter gets memory.
ModelSummary summarize_model(const ModelConfig& config);

/// The policies that networks of a family have.
std::vector<ActivationPolicy> policies_of(ModelFamily family);

}  // namespace pal
