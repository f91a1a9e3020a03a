#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "layers/checkpoint/checkpoint.h"

namespace pal {

/// What a checkpoint records of the run that made it, as far as other programs need it; the
/// defaults stand for what it does not say.
struct TrainingRecipe {
  std::string dataset;  ///< as `recorded_name` gives it; empty: not recorded
  double beta = 1.0;
  double smoothing = 0.05;
  double validation = 0.0;
  int64_t batch_size = 128;
  int64_t shift = 0;
  bool flip = false;
  bool noise = true;
  bool clamp = false;
  std::vector<double> crop_scale = {0.08, 1.0};
  std::vector<double> crop_ratio = {3.0 / 4.0, 4.0 / 3.0};
  bool fast_decode = false;
  bool exif = false;
  int64_t resize = 0;
  uint64_t seed = 0;
};

/// Reads the metadata entry `recipe` (JSON). Throws data, naming `path`, if it is there but broken.
TrainingRecipe training_recipe(const Checkpoint& checkpoint, const std::string& path);

}  // namespace pal
