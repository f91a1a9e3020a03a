#include "runtime/json.h"

#include <vector>

#include "runtime/file.h"
#include "runtime/paths.h"

namespace pal {
namespace {

template <typename Json>
std::string text_of(const Json& value, int indent, BadUtf8 bad) {
  return value.dump(
      indent, ' ', false,
      bad == BadUtf8::replaced ? Json::error_handler_t::replace : Json::error_handler_t::strict);
}

/// Whether lists and objects stand too deep in one another. The library reads any depth, but copies
/// and prints by a call for each level, until the stack ends.
bool too_deep(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"')
      quoted = !quoted;
    else if (quoted)
      at += c == '\\' ? 1 : 0;
    else if (c == '[' || c == '{')
      ++depth;
    else if (c == ']' || c == '}')
      --depth;
    if (depth > kMostJsonDepth) return true;
  }
  return false;
}

template <typename Json>
Json value_of(std::string_view text) {
  if (too_deep(text)) return Json::value_t::discarded;
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

}  // namespace

nlohmann::json parse_json(std::string_view text) { return value_of<nlohmann::json>(text); }

nlohmann::ordered_json parse_ordered_json(std::string_view text) {
  return value_of<nlohmann::ordered_json>(text);
}

nlohmann::ordered_json parse_json_file(const std::string& path) {
  if (!path_exists(path)) return nlohmann::json::value_t::discarded;
  const std::vector<uint8_t> bytes = read_file(path);
  return parse_ordered_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::string json_text(const nlohmann::json& value, int indent, BadUtf8 bad) {
  return text_of(value, indent, bad);
}

std::string json_text(const nlohmann::ordered_json& value, int indent, BadUtf8 bad) {
  return text_of(value, indent, bad);
}

}  // namespace pal
