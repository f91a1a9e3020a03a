#include "bench/support/bench_options.h"

#include <CLI/CLI.hpp>

#include "runtime/error.h"

namespace pal {

bool parse_bench_options(CLI::App& app, int argc, const char* const* argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    app.exit(asked);
    return false;
  } catch (const CLI::ParseError& error) {
    fail(ErrorKind::usage, "command line: {}; see --help", error.what());
  }
  return true;
}

}  // namespace pal
