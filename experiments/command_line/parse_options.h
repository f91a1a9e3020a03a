#pragma once
#include <string>

#include "experiments/command_line/option_table.h"

namespace pal {

/// Reads the command line into a table's options, or into those of the sub-command that it begins
/// with. `--help`, `--version`, `--man` (a manual page) and `--completion bash` are added here and
/// answered on stdout; `answered` tells that. Throws usage for anything that does not fit; an
/// unknown option is answered with its synonym or the nearest known one.
struct ParsedCommand {
  bool answered = false;
  OptionTable* table = nullptr;  ///< the program's own, or that of the sub-command
};
ParsedCommand parse_command_line(OptionTable& table, int argc, const char* const* argv);

}  // namespace pal
