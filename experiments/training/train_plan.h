#pragma once
#include "experiments/command_line/option_table.h"
#include "experiments/training/train_setup.h"

namespace pal {

/// Prints what would run: shapes, parameters, memory, the recipe, the length and an estimate of its
/// time, from a few steps on a small batch whose result is thrown away with `setup`'s weights; as
/// JSON if the options ask for it.
void print_plan(TrainSetup& setup, const OptionTable& table);

}  // namespace pal
