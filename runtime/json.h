#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>

// JSON in and out. The library's parser and printer are templates that take a compiler a second or
// two; here they are compiled once.
namespace pal {

/// The most lists and objects within one another; nothing that we write has ten.
inline constexpr int kMostJsonDepth = 64;

/// The value of a JSON text; a discarded one (`is_discarded()`) if it is not JSON, or nested deeper
/// than kMostJsonDepth.
nlohmann::json parse_json(std::string_view text);
/// The same with the keys of objects in the order of the text.
nlohmann::ordered_json parse_ordered_json(std::string_view text);

/// What a file holds, with keys in its order; a discarded value if there is no such file or it is
/// not JSON, as above. Throws environment or data if it cannot be read.
nlohmann::ordered_json parse_json_file(const std::string& path);

/// The value under a key of an object: a text, a truth value or a whole number, as `fallback` is; that
/// one if there is no such key, or what stands there is of another type.
template <typename Json, typename Value>
Value value_or(const Json& object, const char* key, const Value& fallback) {
  const auto found = object.find(key);
  if (found == object.end()) return fallback;
  bool fits = found->is_string();
  if constexpr (std::is_same_v<Value, bool>)
    fits = found->is_boolean();
  else if constexpr (std::is_integral_v<Value>)
    fits = found->is_number_integer();
  return fits ? found->template get<Value>() : fallback;
}

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
