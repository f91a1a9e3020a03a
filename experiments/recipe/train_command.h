#pragma once
#include "experiments/recipe/train_table.h"

namespace pal {

/// Reads the command line of pal-train into `options` by its table, and then what it leaves open,
/// strongest first: --config FILE, with --resume the configuration of that run, the architecture's
/// defaults. Returns false if the command line was a question and is answered. Throws usage naming
/// the flag, or FILE:LINE, for what does not fit.
bool read_train_options(OptionTable& table, TrainOptions& options, int argc,
                        const char* const* argv);

}  // namespace pal
