#pragma once
#include <string>

#include "experiments/training/run_state.h"
#include "experiments/training/train_setup.h"

namespace pal {

/// The text of rank 0, on all ranks.
std::string shared_text(Communicator& host, const std::string& text);

/// Gives all ranks what rank 0 has of the run: weights, buffers, what the optimizer and the average
/// keep, and where the run stands. Only rank 0 reads checkpoints.
void share_state(TrainSetup& setup, RunState& state);

/// Whether rank 0 says so.
bool first_says(TrainSetup& setup, bool value);

}  // namespace pal
