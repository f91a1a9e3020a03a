#pragma once
#include <functional>
#include <string>

#include "runtime/text.h"

namespace pal {

/// Whether a program's work can be that of several ranks (rank_program.h); else it refuses to be
/// started as more than one.
enum class Processes { one, shared };

/// Runs a program's body and returns the exit code for main: the body's own, or that of the error
/// it throws, after one line `NAME: error: WHERE: what is wrong; what to do` on stderr (pal::Error
/// by its kind, lack of memory 4, anything else 1). A reader that closes stdout early never ends
/// the program; any other failure to write to stdout is 4. A file-size limit is an error of the
/// write, not a signal.
///
///     int main(int argc, char** argv) {
///       return pal::run_program("pal-info", [&] {
///         pal::OptionTable table("pal-info", "What it does.");
///         ... table.whole(...) ...
///         if (pal::parse_command_line(table, argc, argv).answered) return 0;
///         ... work ...
///         return 0;
///       });
///     }
int run_program(const std::string& name, const std::function<int()>& body,
                Processes processes = Processes::one);

/// A line of results on stdout. A failure to write does not stop the program here; run_program
/// notices it at the end.
void print_result(const std::string& line);
/// The line `NAME: error: MESSAGE` on stderr; for programs that go on after an error.
void print_error(const std::string& name, const std::string& message);
/// The line `warning: MESSAGE` on stderr.
void print_warning(const std::string& message);

/// The engine's version, such as "0.1.0".
std::string version();

}  // namespace pal
