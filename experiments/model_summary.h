#pragma once
#include <string>
#include <vector>

#include "autograd/invertible.h"
#include "layers/models/config.h"
#include "layers/subnet.h"

namespace pal {

/// One subnet (of a ResNet: stem, branch or shortcut) of a block: its layers and the memory of one
/// sample's differentiation.
struct SubnetSummary {
  std::string name;
  std::vector<LayerSummary> layers;
  int64_t kept_bytes = 0;    ///< what a stored tape holds beside the subnet's output
  int64_t output_bytes = 0;  ///< s and t, or the branch's result
  /// Couplings only. Most that is alive in its backward pass: the output and its gradient, and,
  /// layer by layer from the last to the first, the inputs that are still kept and the two
  /// gradients at hand.
  int64_t backward_bytes = 0;
};

/// One block of the chain, for one sample; memory figures are those of a coupling.
struct BlockSummary {
  std::string name;
  std::string kind;
  Shape input;
  Shape output;
  int64_t parameters = 0;
  int64_t multiply_adds = 0;  ///< convolutions, and mixing matrices that are multiplied
  int64_t dense_mixing = 0;   ///< what a dense channel mixing costs: channels^2 x pixels
  std::vector<SubnetSummary> subnets;

  int64_t input_bytes() const { return 4 * input.numel(); }
  int64_t output_bytes() const { return 4 * output.numel(); }
  /// What the store policy keeps of this block beside its input.
  int64_t stored_bytes() const;
  /// Most that is alive in its backward pass beside the four tensors of the stream (x, y and their
  /// gradients). `tapes_first`: all subnets' tapes exist from the start (store, recompute).
  int64_t transient_bytes(bool tapes_first) const;
  /// Stream tensors of half a block that a two-sided coupling has at hand (0 for others), in its
  /// first and in its second subnet's turn.
  int64_t first_half_bytes = 0;
  int64_t second_half_bytes = 0;
  /// Copies of the stream for a mixing that is multiplied.
  int64_t mixing_bytes = 0;
};

struct ModelSummary {
  ModelConfig config;
  std::vector<BlockSummary> blocks;
  int64_t parameters_network = 0;
  int64_t parameters_total = 0;  ///< with the class means, or a ResNet's linear layer
  int64_t multiply_adds = 0;
  int64_t multiply_adds_dense_mixing = 0;
};

/// Sizes of a configuration's network, for one sample; no parameter gets memory.
ModelSummary summarize_model(const ModelConfig& config);

/// The policies that networks of a family have.
std::vector<ActivationPolicy> policies_of(ModelFamily family);

/// Expected peak of a training step's activations (tags stream, subnet and workspace) in bytes,
/// the whole chain under one policy and without anchors: over all blocks i, the largest
///   kept(i) + x_i + y_i + grad x_i + grad y_i + transients(i)
/// where kept(i) is, over the blocks before i, for store their inputs and tapes, for recompute
/// their inputs, for invert nothing. The network's own input counts as data. Scratch of libraries
/// is left out. A ResNet has no stream in float32, but the same sum over its residual blocks: kept
/// before, x, and the most that is alive in the block's backward pass; its stem keeps everything.
/// Throws usage for a policy that the family does not have.
int64_t activation_bytes(const ModelSummary& model, ActivationPolicy policy, int64_t batch);

}  // namespace pal
