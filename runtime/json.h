#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

// JSON in and out. The library's parser and printer are templates that take a compiler a second or
// two; here they are compiled once.
namespace pal {

/// The value of a JSON text; a discarded one (`is_discarded()`) if it is not JSON.
nlohmann::json parse_json(std::string_view text);
/// The same with the keys of objects in the order of the text.
nlohmann::ordered_json parse_ordered_json(std::string_view text);

/// What a file holds, with keys in its order; a discarded value if there is no such file or it is
/// not JSON. Throws environment or data if it cannot be read.
nlohmann::ordered_json parse_json_file(const std::string& path);

/// What to do with text that is not UTF-8, such as a file's name.
enum class BadUtf8 {
  refused,   ///< throws nlohmann::json::type_error
  replaced,  ///< each bad byte becomes U+FFFD
};

/// A value as JSON: on one line for an `indent` of -1, else an entry a line, indented by so many
/// spaces per level.
std::string json_text(const nlohmann::json& value, int indent = -1, BadUtf8 bad = BadUtf8::refused);
std::string json_text(const nlohmann::ordered_json& value, int indent = -1,
                      BadUtf8 bad = BadUtf8::refused);

}  // namespace pal
