#pragma once
#include <cstdint>
#include <functional>

#include "data/batches/batches.h"
#include "layers/models/model.h"

namespace pal {

/// Replaces the running statistics of all batch norms by the mean over `batches` batches of the
/// loader, weights unchanged (experiments/measures/README.md, 9). `stop` is asked before each
/// batch: true ends the work with Interrupted.
void reaverage_batch_norm(Model& model, Batches& loader, int64_t batches,
                          const std::function<bool()>& stop = {});

}  // namespace pal
