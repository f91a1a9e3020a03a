#pragma once
#include <string>

#include "experiments/command_line/option_table.h"
#include "experiments/recipe/train_options.h"

namespace pal {

/// Adds every option of pal-train to a table that sets `options`: what it may be, its default and
/// those of the architectures (experiments/measures/README.md, 9), the networks it is for, whether
/// checkpoints record it and what a resumed run makes of another value.
void add_train_options(OptionTable& table, TrainOptions& options);

/// After all sources of options were read: gives the architecture's defaults and checks what
/// concerns several options. Throws usage naming the flag.
void finish_train_options(OptionTable& table, TrainOptions& options);

}  // namespace pal
