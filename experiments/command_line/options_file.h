#pragma once
#include <string>

namespace CLI {
class App;
}

namespace pal {

/// Adds `--config FILE` to a program: a TOML file whose keys are the program's long options without
/// the dashes. Flags on the command line win over the file.
void add_config_option(CLI::App& app, std::string& path);

/// After parsing: gives the options that the command line left alone their values from the file.
/// Throws usage as `FILE:LINE: ...` for what is no TOML, an unknown key (with the nearest known
/// name), a duplicate or a value that the option refuses.
void apply_config_file(CLI::App& app, const std::string& path);

/// All options with their effective values as a TOML file.
std::string effective_config(const CLI::App& app);

}  // namespace pal
