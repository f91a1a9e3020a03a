#pragma once
#include <functional>
#include <map>
#include <string>

#include "experiments/command_line/option_table.h"
#include "layers/models/config.h"

namespace pal {

/// Adds an option for every field of a network that people may choose (free_field_names). Values
/// that are given land in `fields`, as text; the others are those of `base()`, the configuration
/// that the fields will be set in.
void add_field_options(OptionTable& table, std::map<std::string, std::string>& fields,
                       const std::function<ModelConfig()>& base);

}  // namespace pal
