#pragma once
#include "experiments/model_summary.h"

namespace pal {

/// summarize_model for a ResNet: stem, max pool, residual blocks (subnets `branch` and
/// `downsample`), linear layer.
ModelSummary summarize_resnet(const ModelConfig& config);

/// activation_bytes for a ResNet under store or recompute.
int64_t resnet_activation_bytes(const ModelSummary& model, ActivationPolicy policy, int64_t batch);

}  // namespace pal
