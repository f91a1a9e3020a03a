#include "experiments/command_line/options_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>
#include <CLI/CLI.hpp>

#include "experiments/command_line/program.h"
#include "runtime/error.h"
#include "runtime/file.h"

namespace pal {
namespace {

/// A TOML value as one would type it after the flag.
std::string text_of(const toml::node& node, const std::string& where) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  if (const auto* whole = node.as_integer()) return fmt::format("{}", whole->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* array = node.as_array()) {
    std::vector<std::string> parts;
    for (const auto& entry : *array) parts.push_back(text_of(entry, where));
    return fmt::format("{}", fmt::join(parts, ","));
  }
  fail(ErrorKind::usage, "{}: expected a text, a number, true, false or a list of these", where);
}

bool is_number(const std::string& text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

void add_config_option(CLI::App& app, std::string& path) {
  app.add_option("--config", path, "TOML file with these options (without dashes); flags win")
      ->type_name("FILE");
}

void apply_config_file(CLI::App& app, const std::string& path) {
  if (path.empty()) return;
  const auto bytes = read_file(path, int64_t{1} << 20);
  toml::table table;
  try {
    table =
        toml::parse(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  } catch (const toml::parse_error& error) {
    fail(ErrorKind::usage, "{}:{}: {}", path, error.source().begin.line, error.description());
  }
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) known.push_back(name);
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    const std::string where = fmt::format("{}:{}: {}", path, key.source().begin.line, name);
    CLI::Option* option = app.get_option_no_throw("--" + name);
    if (option == nullptr || name == "config" || name == "help" || name == "version") {
      const std::string nearest = nearest_name(name, known);
      fail(ErrorKind::usage, "{}: unknown key{}", where,
           nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest));
    }
    if (option->count() > 0) continue;
    const std::string text = text_of(node, where);
    try {
      option->add_result(text);
      option->run_callback();
      check_numbers(*option);
    } catch (const std::exception& error) {
      fail(ErrorKind::usage, "{}: {}", where, error.what());
    }
  }
}

std::string effective_config(const CLI::App& app) {
  std::string text;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_lnames().empty()) continue;
    const std::string name = option->get_lnames().front();
    if (name == "help" || name == "version" || name == "config") continue;
    std::string value = option->get_default_str();
    if (option->count() > 0) value = fmt::format("{}", fmt::join(option->results(), ","));
    if (value.empty()) continue;
    const bool bare = value == "true" || value == "false" || is_number(value);
    std::string escaped;
    for (const char c : value) {
      if (c == '"' || c == '\\') escaped += '\\';
      escaped += c;
    }
    text +=
        bare ? fmt::format("{} = {}\n", name, value) : fmt::format("{} = \"{}\"\n", name, escaped);
  }
  return text;
}

}  // namespace pal
