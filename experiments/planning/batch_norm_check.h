#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "layers/models/config.h"

namespace pal {

/// The first batch norm of the configuration's network that sees a single value per channel in a
/// training step of `batch` images, by the name of its parameters (`blocks.4.s.0`, `layer3.0.bn1`):
/// the mean is the value itself, so every input gives the same output and nothing can be learned
/// through it. None if all see more. Throws usage as validate(), and for a batch below 1.
std::optional<std::string> single_value_batch_norm(const ModelConfig& config, int64_t batch);

}  // namespace pal
