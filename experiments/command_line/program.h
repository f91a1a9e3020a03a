#pragma once
#include <functional>
#include <string>

#include "runtime/text.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace pal {

/// Runs a program's body and returns the exit code for main: the body's own, or that of the error
/// it throws, after one line `NAME: error: WHERE: what is wrong; what to do` on stderr (pal::Error
/// by its kind, lack of memory 4, anything else 1). A reader that closes stdout early never ends
/// the program; any other failure to write to stdout is 4. A file-size limit is an error of the
/// write, not a signal.
///
///     int main(int argc, char** argv) {
///       return pal::run_program("pal-info", [&] {
///         CLI::App app("what it does", "pal-info");
///         ... add_option ...
///         if (!pal::parse_options(app, argc, argv)) return 0;
///         ... work ...
///         return 0;
///       });
///     }
int run_program(const std::string& name, const std::function<int()>& body);

/// A line of results on stdout. A failure to write does not stop the program here; run_program
/// notices it at the end.
void print_result(const std::string& line);
/// The line `NAME: error: MESSAGE` on stderr; for programs that go on after an error.
void print_error(const std::string& name, const std::string& message);
/// The line `warning: MESSAGE` on stderr.
void print_warning(const std::string& message);

/// Parses the command line, with `--version` added; returns false if `--help` or `--version` was
/// asked for and has been answered on stdout. Throws usage for anything that does not fit; an
/// unknown option is answered with the nearest known one. Numbers that are not finite are refused
/// everywhere.
bool parse_options(CLI::App& app, int argc, const char* const* argv);

/// Throws usage if the values given to an option of real numbers are not finite ones, or those of
/// an unsigned option negative. parse_options does this for the command line.
void check_numbers(const CLI::Option& option);

/// The engine's version, such as "0.1.0".
std::string version();

}  // namespace pal
