#pragma once
#include "experiments/command_line/option_table.h"
#include "experiments/recipe/train_options.h"

namespace pal {

/// Adds the options of pal-train about memory and numerics to its table.
void add_memory_options(OptionTable& table, TrainOptions& options);

/// Adds those about the run as a process: its folder, its machine, what it tells.
void add_process_options(OptionTable& table, TrainOptions& options);

}  // namespace pal
