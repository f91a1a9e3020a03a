#include "experiments/command_line/options_file.h"

#include <fmt/format.h>

#include "experiments/command_line/program.h"
#include "experiments/command_line/toml_file.h"
#include "runtime/error.h"
#include "runtime/json.h"

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

/// Whether programs write the option into files: also without effect, if someone has given it.
bool is_written(const Option& option, bool flow) {
  const bool effect = OptionTable::has_effect(option, flow) || option.origin() >= Origin::run;
  return option.is_saved() && effect && !option.text().empty();
}

/// Whether a file may hold the option.
bool is_key(const Option& option) {
  return option.group() != kAboutGroup && option.name() != "config" && option.name() != "resume";
}

[[noreturn]] void refuse_key(const OptionTable& table, const std::string& name,
                             const std::string& where) {
  std::vector<std::string> known;
  for (const Option& option : table.options())
    if (is_key(option)) known.push_back(option.name());
  for (const auto& [word, answer] : table.synonyms())
    if (word == name)
      fail(ErrorKind::usage, "{}: unknown key; use {}", where,
           answer.starts_with("--") ? answer.substr(2) : answer);
  const std::string nearest = nearest_name(name, known);
  fail(ErrorKind::usage, "{}: unknown key{}", where,
       nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest));
}

}  // namespace

void apply_config_file(OptionTable& table, const std::string& path, Origin origin) {
  const toml::table file = read_toml(path);
  const bool of_run = origin == Origin::run;
  for (const auto& [key, node] : file) {
    const std::string name(key.str());
    const std::string where = fmt::format("{}:{}: {}", path, key.source().begin.line, name);
    if (node.is_table())
      fail(ErrorKind::usage, "{}: a section; expected options without one, such as beta = 4",
           where);
    Option* const option = table.find(name);
    const bool known = option != nullptr && is_key(*option);
    if (!known && !of_run) refuse_key(table, name, where);
    if (!known || (of_run && option->on_resume() == OnResume::process)) continue;
    option->set(text_of(node, where), origin, where);
  }
}

std::map<std::string, std::string> config_values(const std::string& path) {
  std::map<std::string, std::string> values;
  for (const auto& [key, node] : read_toml(path)) {
    const std::string name(key.str());
    values[name] = text_of(node, path + ": " + name);
  }
  return values;
}

std::string effective_config(const OptionTable& table, bool flow, bool template_too) {
  std::string text;
  std::string group;
  for (const Option& option : table.options()) {
    const bool written = is_written(option, flow) || (template_too && option.name() == "output");
    const bool other = option.families() == (flow ? Families::resnets : Families::flows);
    if (!written && (!template_too || !option.is_saved() || other)) continue;
    if (option.group() != group)
      text += fmt::format("{}# {}\n", text.empty() ? "" : "\n", option.group());
    group = option.group();
    const bool valued = !option.text().empty();
    const std::string line = fmt::format("{}{} ={}", written ? "" : "# ", option.name(),
                                         valued ? " " + option.saved_literal() : "");
    const std::string range = option.range_text();
    const char* const colon = option.kind() == OptionKind::choice ? ": " : "; ";
    text +=
        fmt::format("{:<32} # {}{}{}\n", line, option.help(), range.empty() ? "" : colon, range);
  }
  return text;
}

std::string options_json(const OptionTable& table, bool flow) {
  nlohmann::ordered_json json;
  for (const Option& option : table.options())
    if (is_written(option, flow)) json[option.name()] = parse_ordered_json(option.saved_literal());
  return json_text(json);
}

}  // namespace pal
