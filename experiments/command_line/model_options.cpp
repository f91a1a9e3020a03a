#include "experiments/command_line/model_options.h"

#include "layers/models/config_help.h"
#include "runtime/error.h"

namespace pal {
namespace {

OptionKind kind_of(FieldInfo::Type type) {
  switch (type) {
    case FieldInfo::Type::truth:
      return OptionKind::toggle;
    case FieldInfo::Type::whole:
      return OptionKind::whole;
    case FieldInfo::Type::number:
      return OptionKind::number;
    case FieldInfo::Type::wholes:
      return OptionKind::numbers;
    case FieldInfo::Type::word:
      return OptionKind::choice;
    case FieldInfo::Type::text:
      break;
  }
  return OptionKind::text;
}

/// Throws usage unless the field can have the value, whose form the option has checked: a list may
/// still have a number that is not whole, and a whole number may be too large.
void expect_field(const std::string& name, FieldInfo::Type type, const std::string& text) {
  ModelConfig scratch;
  try {
    set_field(scratch, name, text, name);
  } catch (const Error&) {
    const bool list = type == FieldInfo::Type::wholes;
    fail(ErrorKind::usage, "expected {}, got '{}'",
         list ? "whole numbers with commas between them" : "a smaller number", text);
  }
}

/// The presets whose value of a field is not that of the first flow, with theirs.
std::vector<std::pair<std::string, std::string>> preset_values(const std::string& name,
                                                               const FieldInfo& info) {
  std::vector<std::pair<std::string, std::string>> values;
  const std::string usual = field_text(preset("ibinn-mnist"), name);
  for (const std::string& arch : preset_names()) {
    const ModelConfig config = preset(arch);
    const bool reads = !info.flow || config.family == ModelFamily::flow;
    if (reads && field_text(config, name) != usual)
      values.emplace_back(arch, field_text(config, name));
  }
  return values;
}

std::string mixing_of(const std::function<ModelConfig()>& base,
                      const std::map<std::string, std::string>& fields) {
  const auto given = fields.find("mixing");
  return given != fields.end() ? given->second : field_text(base(), "mixing");
}

}  // namespace

void add_field_options(OptionTable& table, std::map<std::string, std::string>& fields,
                       const std::function<ModelConfig()>& base) {
  for (const std::string& name : free_field_names()) {
    const FieldInfo info = field_info(name);
    table
        .custom(
            name, kind_of(info.type),
            [&fields, name, type = info.type](const std::string& text) {
              expect_field(name, type, text);
              fields[name] = text;
            },
            [&fields, name, base] {
              const auto given = fields.find(name);
              return given != fields.end() ? given->second : field_text(base(), name);
            },
            info.help)
        .at_least(info.least)
        .at_most(info.most)
        .values(info.words)
        .architecture_note(preset_values(name, info))
        .families(info.flow ? Families::flows : Families::all);
    if (info.above) table.at(name).above(info.least);
    if (name == "reflections")
      table.at(name).only("with --mixing householder",
                          [base, &fields] { return mixing_of(base, fields) == "householder"; });
  }
}

}  // namespace pal
