#pragma once
#include <map>
#include <string>

#include "experiments/command_line/option_table.h"

namespace pal {

/// Reads a TOML file whose keys are long options without the dashes into the options that no
/// stronger source has set; a list may stand for a list of numbers. Throws usage as
/// `FILE:LINE: ...` for what is no TOML, an unknown key (with the nearest known name), a duplicate
/// or a value that the option refuses. For `Origin::run`, a run's own configuration, options of a
/// single process are passed over, as are keys that are not known any more.
void apply_config_file(OptionTable& table, const std::string& path, Origin origin);

/// The values that such a file names, as one would type them. Throws usage if it is no TOML.
std::map<std::string, std::string> config_values(const std::string& path);

/// The options with an effect on a network of this kind (a flow, or a ResNet), and those that were
/// given without having one, with their values as a
/// TOML file, by group, each with its help as a comment.
/// With `template_too`, as something to begin with: also --output, and in comments the options that
/// have no value or no effect yet.
std::string effective_config(const OptionTable& table, bool flow, bool template_too = false);

/// The same as one JSON object.
std::string options_json(const OptionTable& table, bool flow);

}  // namespace pal
