#include "experiments/planning/batch_norm_check.h"

#include "experiments/planning/model_summary.h"
#include "runtime/error.h"

namespace pal {
namespace {

/// Where the parameters of a subnet stand: a residual branch has no name of its own there, nor has
/// a stem.
std::string prefix_of(const BlockSummary& block, const SubnetSummary& subnet) {
  if (subnet.name == "stem") return "";
  return block.name + (subnet.name == "branch" ? "." : "." + subnet.name + ".");
}

}  // namespace

std::optional<std::string> single_value_batch_norm(const ModelConfig& config, int64_t batch) {
  expect(batch >= 1, "single_value_batch_norm: expected a batch of at least 1, got {}", batch);
  if (batch > 1) {
    validate(config);
    return std::nullopt;
  }
  for (const BlockSummary& block : summarize_model(config).blocks)
    for (const SubnetSummary& subnet : block.subnets)
      for (const LayerSummary& layer : subnet.layers)
        if (layer.kind.starts_with("batch norm") && layer.output[1] * layer.output[2] == 1)
          return prefix_of(block, subnet) + layer.name;
  return std::nullopt;
}

}  // namespace pal
