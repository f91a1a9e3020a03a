#pragma once
#include <string>

#include "experiments/training/train_setup.h"

namespace pal {

/// One training run in the folder that the options name: takes it for this process, goes on from a
/// checkpoint or starts anew, trains. `command` and `config_text` (TOML) are recorded there.
/// Returns the exit code. Throws usage if the folder holds a run that is not to be resumed,
/// environment if it cannot be had.
int run_training(TrainSetup& setup, const std::string& command, const std::string& config_text);

}  // namespace pal
