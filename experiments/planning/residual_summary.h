#pragma once
#include "experiments/planning/model_summary.h"

namespace pal {

/// `summarize_model` for a ResNet, for one sample: stem, max pool, residual blocks (subnets
/// `branch` and `downsample`), linear layer.
ModelSummary summarize_resnet(const ModelConfig& config);

}  // namespace pal
