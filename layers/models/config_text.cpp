// Configuration fields as text and JSON.
#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "layers/models/config_fields.h"
#include "runtime/error.h"
#include "runtime/json.h"

namespace pal {
namespace {

template <typename Enum>
using Names = std::vector<std::pair<const char*, Enum>>;

const Names<ModelFamily>& names(ModelFamily) {
  static const Names<ModelFamily> table = {{"flow", ModelFamily::flow},
                                           {"resnet", ModelFamily::resnet}};
  return table;
}
const Names<EntryKind>& names(EntryKind) {
  static const Names<EntryKind> table = {
      {"entry", EntryKind::entry}, {"haar", EntryKind::haar}, {"cifar", EntryKind::cifar}};
  return table;
}
const Names<SubnetKind>& names(SubnetKind) {
  static const Names<SubnetKind> table = {{"bottleneck", SubnetKind::bottleneck},
                                          {"basic", SubnetKind::basic}};
  return table;
}
const Names<CouplingKind>& names(CouplingKind) {
  static const Names<CouplingKind> table = {{"slow", CouplingKind::slow},
                                            {"glow", CouplingKind::glow}};
  return table;
}
const Names<MixingKind>& names(MixingKind) {
  static const Names<MixingKind> table = {{"none", MixingKind::none},
                                          {"swap", MixingKind::swap},
                                          {"permutation", MixingKind::permutation},
                                          {"orthogonal", MixingKind::orthogonal},
                                          {"householder", MixingKind::householder},
                                          {"conv1x1", MixingKind::conv1x1}};
  return table;
}
const Names<ActNormKind>& names(ActNormKind) {
  static const Names<ActNormKind> table = {{"softplus", ActNormKind::softplus},
                                           {"paper", ActNormKind::paper},
                                           {"sigmoid", ActNormKind::sigmoid},
                                           {"exp", ActNormKind::exponential}};
  return table;
}
const Names<DctMap::Flavour>& names(DctMap::Flavour) {
  static const Names<DctMap::Flavour> table = {{"reference", DctMap::Flavour::reference},
                                               {"orthonormal", DctMap::Flavour::orthonormal}};
  return table;
}
const Names<DType>& names(DType) {
  static const Names<DType> table = {{"fp32", DType::f32}, {"bf16", DType::bf16}};
  return table;
}

template <typename Enum>
std::string text_of(const Enum& value) {
  for (const auto& [name, entry] : names(value))
    if (entry == value) return name;
  return "?";
}
std::string text_of(const std::string& value) { return value; }
std::string text_of(bool value) { return value ? "true" : "false"; }
std::string text_of(int64_t value) { return std::to_string(value); }
std::string text_of(double value) { return fmt::format("{}", value); }
std::string text_of(const std::vector<int64_t>& values) {
  return fmt::format("{}", fmt::join(values, ","));
}

[[noreturn]] void refuse(const std::string& where, const std::string& key,
                         const std::string& wanted, const std::string& got) {
  fail(ErrorKind::usage, "{}: {}: expected {}, got '{}'", where, key, wanted, got);
}

template <typename Number>
bool parse_number(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

/// Sets fields of each type from text, refusing what does not parse.
struct Setter {
  const std::string& key;
  const std::string& text;
  const std::string& where;

  template <typename Enum>
  void operator()(Enum& field) const {
    std::vector<std::string> known;
    for (const auto& [name, entry] : names(field)) {
      if (text == name) {
        field = entry;
        return;
      }
      known.emplace_back(name);
    }
    refuse(where, key, fmt::format("one of {}", fmt::join(known, ", ")), text);
  }
  void operator()(std::string& field) const { field = text; }
  void operator()(bool& field) const {
    if (text != "true" && text != "false") refuse(where, key, "true or false", text);
    field = text == "true";
  }
  void operator()(int64_t& field) const {
    int64_t value = 0;
    if (!parse_number(text, value)) refuse(where, key, "a whole number", text);
    field = value;
  }
  void operator()(double& field) const {
    double value = 0.0;
    if (!parse_number(text, value) || !std::isfinite(value))
      refuse(where, key, "a finite number", text);
    field = value;
  }
  void operator()(std::vector<int64_t>& field) const {
    std::vector<int64_t> values;
    size_t begin = 0;
    while (begin <= text.size()) {
      const size_t end = std::min(text.find(',', begin), text.size());
      int64_t value = 0;
      if (!parse_number(std::string_view(text).substr(begin, end - begin), value))
        refuse(where, key, "whole numbers separated by commas", text);
      values.push_back(value);
      begin = end + 1;
    }
    field = values;
  }
};

nlohmann::json json_of(const std::vector<int64_t>& values) { return values; }
nlohmann::json json_of(bool value) { return value; }
nlohmann::json json_of(int64_t value) { return value; }
nlohmann::json json_of(double value) { return value; }
template <typename Other>
nlohmann::json json_of(const Other& value) {
  return text_of(value);
}

/// A JSON value as set_field takes it; what does not fit the field keeps its brackets and is
/// refused.
std::string text_of_json(const nlohmann::json& value, bool list) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array() || !list) return json_text(value);
  std::vector<std::string> parts;
  for (const auto& entry : value) parts.push_back(json_text(entry));
  return fmt::format("{}", fmt::join(parts, ","));
}

bool is_list(const ModelConfig& config, const std::string& key) {
  bool list = false;
  visit_fields(config, [&](const char* name, const auto& field) {
    if (key == name) list = std::is_same_v<decltype(field), const std::vector<int64_t>&>;
  });
  return list;
}

}  // namespace

bool set_field(ModelConfig& config, const std::string& key, const std::string& value,
               const std::string& where) {
  bool found = false;
  visit_fields(config, [&](const char* name, auto& field) {
    if (key != name) return;
    Setter{key, value, where}(field);
    found = true;
  });
  return found;
}

std::vector<std::string> field_names() {
  std::vector<std::string> keys;
  const ModelConfig config;
  visit_fields(config, [&](const char* name, const auto&) { keys.emplace_back(name); });
  return keys;
}

std::string field_text(const ModelConfig& config, const std::string& key) {
  std::string text;
  visit_fields(config, [&](const char* name, const auto& field) {
    if (key == name) text = text_of(field);
  });
  return text;
}

std::vector<std::string> field_words(const std::string& key) {
  std::vector<std::string> words;
  const ModelConfig config;
  visit_fields(config, [&](const char* name, const auto& field) {
    if constexpr (std::is_enum_v<std::remove_cvref_t<decltype(field)>>)
      if (key == name)
        for (const auto& [word, value] : names(field)) words.emplace_back(word);
  });
  return words;
}

std::string to_json(const ModelConfig& config) {
  nlohmann::ordered_json object;
  visit_fields(config, [&](const char* name, const auto& field) { object[name] = json_of(field); });
  return json_text(object);
}

ModelConfig config_from_json(const std::string& json, const std::string& where) {
  const auto object = parse_json(json);
  if (!object.is_object())
    fail(ErrorKind::usage, "{}: expected the configuration as a JSON object", where);
  ModelConfig config;
  for (const auto& [key, value] : object.items())
    if (!set_field(config, key, text_of_json(value, is_list(config, key)), where))
      fail(ErrorKind::usage, "{}: unknown configuration key '{}'", where, key);
  return config;
}

}  // namespace pal
