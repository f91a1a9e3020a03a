#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pal {

/// Offset of the first byte of `text` that is not part of valid UTF-8; its length if there is none.
size_t valid_utf8_length(std::string_view text);

/// A file's name or other foreign text as a one-line message can hold it: control characters and
/// bytes that are not UTF-8 become \xNN.
std::string one_line(std::string_view text);

/// A name that JSON, TOML and checkpoints can hold and that is the same for the same bytes: `text`
/// itself if it is UTF-8, else as `one_line` has it.
std::string as_utf8(std::string_view text);

/// `text` as a shell takes it for one word: in quotes where it needs them.
std::string shell_word(const std::string& text);

/// `text` without the characters of `space` at either end.
std::string_view trimmed(std::string_view text, std::string_view space = " \t\r\n");

/// The known word with the fewest edits from `word` (two letters in the wrong order are one), or
/// that begins with it; empty if none is close enough to be meant.
std::string nearest_name(const std::string& word, const std::vector<std::string>& known);

/// `text` with ASCII letters in lower case.
std::string lower_case(std::string_view text);

}  // namespace pal
