#pragma once
#include <string>

#include "layers/checkpoint/checkpoint.h"

namespace pal {

struct TrainSetup;

/// Throws usage, naming `path`, unless a run of this set-up may go on from the checkpoint: the same
/// model, inputs, recipe, classes and data. Warns where the thread count alone differs. Throws data
/// for a checkpoint without a recipe.
void check_resume(const TrainSetup& setup, const Checkpoint& checkpoint, const std::string& path);

}  // namespace pal
