#include "runtime/json.h"

#include <filesystem>
#include <vector>

#include "runtime/file.h"

namespace pal {
namespace {

template <typename Json>
std::string text_of(const Json& value, int indent, BadUtf8 bad) {
  return value.dump(
      indent, ' ', false,
      bad == BadUtf8::replaced ? Json::error_handler_t::replace : Json::error_handler_t::strict);
}

}  // namespace

nlohmann::json parse_json(std::string_view text) {
  return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
}

nlohmann::ordered_json parse_ordered_json(std::string_view text) {
  return nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
}

nlohmann::ordered_json parse_json_file(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return nlohmann::json::value_t::discarded;
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
