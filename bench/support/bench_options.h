#pragma once

namespace CLI {
class App;
}

namespace pal {

/// Parses the command line of a bench; returns false if `--help` was asked for and is answered.
/// Throws usage for anything that does not fit.
bool parse_bench_options(CLI::App& app, int argc, const char* const* argv);

}  // namespace pal
