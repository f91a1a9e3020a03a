#pragma once
#include <string>

#include "layers/checkpoint/checkpoint.h"

namespace pal {

struct TrainSetup;

/// What a resumed run does otherwise than the run before, of what the run must know.
struct ResumeChanges {
  bool validation = false;  ///< other images choose the checkpoints
};

/// Throws usage, naming `path`, unless a run of this set-up may go on from the checkpoint: the same
/// model, inputs, classes and data, and the same recipe but for options that a resumed run may
/// change (OnResume), which are warned of as bits now differ. Warns where the thread count alone
/// differs. Throws data for a checkpoint without a recipe.
ResumeChanges check_resume(const TrainSetup& setup, const Checkpoint& checkpoint,
                           const std::string& path);

}  // namespace pal
