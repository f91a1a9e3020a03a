#pragma once
#include <cstdint>
#include <string>

#include "data/batches/batches.h"
#include "layers/checkpoint/checkpoint.h"

namespace pal {

/// What a checkpoint records of the run that made it, as far as other programs need it; the
/// defaults stand for what it does not say.
struct TrainingRecipe {
  std::string dataset;  ///< as `recorded_name` gives it; empty: not recorded
  double beta = 1.0;
  double smoothing = 0.05;
  double validation = 0.0;
  /// How training batches are made, but for what the machine decides.
  LoaderOptions loader;
};

/// Reads the metadata entry `recipe` (JSON). Throws data, naming `path`, if it is there but broken.
TrainingRecipe training_recipe(const Checkpoint& checkpoint, const std::string& path);

}  // namespace pal
