#include "experiments/command_line/program.h"

#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <new>
#include <system_error>

#include "runtime/error.h"

namespace pal {
namespace {

/// Writes one line, whatever the text holds, after what went to stdout before.
void print_line(const std::string& text) {
  std::string line = text;
  std::ranges::replace_if(
      line, [](unsigned char c) { return c < ' ' || c == 0x7f; }, ' ');
  std::fflush(stdout);
  std::fprintf(stderr, "%s\n", line.c_str());
}

int report(const std::string& name, const std::string& message, ErrorKind kind) {
  print_error(name, message);
  return exit_code(kind);
}

int run_body(const std::string& name, const std::function<int()>& body) {
  try {
    return body();
  } catch (const Error& error) {
    return report(name, error.what(), error.kind());
  } catch (const std::bad_alloc&) {
    return report(name, "memory: the system has no more; use smaller batches or fewer processes",
                  ErrorKind::environment);
  } catch (const std::system_error& error) {
    return report(name, std::string("system: ") + error.what(), ErrorKind::environment);
  } catch (const std::exception& error) {
    return report(name, std::string("internal: ") + error.what(), ErrorKind::failure);
  }
}

/// Whether stdout is a pipe or socket that nobody reads any more.
bool reader_has_left() {
  pollfd output{STDOUT_FILENO, POLLOUT, 0};
  return ::poll(&output, 1, 0) > 0 && (output.revents & POLLERR) != 0;
}

/// The app and the subcommands that the command line named.
std::vector<CLI::App*> active_apps(CLI::App& app) {
  std::vector<CLI::App*> apps{&app};
  for (size_t i = 0; i < apps.size(); ++i)
    for (CLI::App* child : apps[i]->get_subcommands()) apps.push_back(child);
  return apps;
}

std::vector<std::string> known_names(CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* part : active_apps(app))
    for (const CLI::Option* option : part->get_options())
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

[[noreturn]] void refuse_extra(CLI::App& app) {
  for (const std::string& argument : app.remaining(true)) {
    if (!argument.starts_with('-'))
      fail(ErrorKind::usage, "{}: unexpected argument; see --help", argument);
    const std::string flag = argument.substr(0, argument.find('='));
    const std::string nearest = nearest_name(flag, known_names(app));
    if (nearest.empty()) fail(ErrorKind::usage, "{}: unknown option; see --help", flag);
    fail(ErrorKind::usage, "{}: unknown option; did you mean {}?", flag, nearest);
  }
  fail(ErrorKind::usage, "command line: unexpected arguments; see --help");
}

}  // namespace

int run_program(const std::string& name, const std::function<int()>& body) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  const int code = run_body(name, body);
  const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
  if (code == 0 && failed && !reader_has_left())
    return report(name, "stdout: cannot write; make room or send the output elsewhere",
                  ErrorKind::environment);
  return code;
}

void print_result(const std::string& line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
}

void print_error(const std::string& name, const std::string& message) {
  print_line(name + ": error: " + message);
}

void print_warning(const std::string& message) { print_line("warning: " + message); }

bool parse_options(CLI::App& app, int argc, const char* const* argv) {
  app.set_version_flag("--version", app.get_name() + " (Palindrome) " + version());
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    app.exit(asked);
    return false;
  } catch (const CLI::ExtrasError&) {
    refuse_extra(app);
  } catch (const CLI::ParseError& error) {
    fail(ErrorKind::usage, "command line: {}; see --help", error.what());
  }
  for (const CLI::App* part : active_apps(app))
    for (const CLI::Option* option : part->get_options()) check_numbers(*option);
  return true;
}

void check_numbers(const CLI::Option& option) {
  const bool real = option.get_type_name().starts_with("FLOAT");
  const bool natural = option.get_type_name().starts_with("UINT");
  for (const std::string& text : option.results()) {
    // CLI11 takes -1 for the largest number.
    if (natural && text.starts_with('-'))
      fail(ErrorKind::usage, "{}: expected at least 0, got {}", option.get_name(), text);
    if (!real) continue;
    const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
    const char* end = text.data() + text.size();
    double value = 0.0;
    const auto [stop, error] = std::from_chars(begin, end, value);
    if (error != std::errc() || stop != end || !std::isfinite(value))
      fail(ErrorKind::usage, "{}: expected a finite number, got {}", option.get_name(), text);
  }
}

std::string version() { return PAL_VERSION; }

}  // namespace pal
