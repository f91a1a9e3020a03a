#pragma once
#include "experiments/command_line/option_table.h"
#include "experiments/recipe/train_options.h"

namespace pal {

/// Adds the options of pal-train about its data and how they are loaded to its table.
void add_training_data_options(OptionTable& table, TrainOptions& options);

}  // namespace pal
