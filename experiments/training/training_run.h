#pragma once
#include <string>

#include "experiments/training/train_setup.h"
#include "layers/checkpoint/run_folder.h"

namespace pal {

/// Trains as the set-up says, in its run folder: begins, or goes on from the newest checkpoint. A
/// run that is complete stays as it is. `command` and `config_text` are written there as a record.
/// Returns the exit code: 0, or that of a signal.
int run_training(TrainSetup& setup, const RunFolder& folder, const std::string& command,
                 const std::string& config_text);

}  // namespace pal
