#pragma once
#include <string>

#include "experiments/command_line/option_table.h"

namespace pal {

/// A program's help for a terminal of `width` characters: usage, description, options by group with
/// their values and defaults.
std::string help_text(const OptionTable& table, size_t width = 100);

/// The same as a page for man(1), section 1, in troff.
std::string man_page(const OptionTable& table);

/// Completion for bash: options, words that an option takes, files and folders.
std::string bash_completion(const OptionTable& table);

}  // namespace pal
