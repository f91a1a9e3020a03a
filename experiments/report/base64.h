#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pal {

/// Bytes as text (RFC 4648, section 4): three bytes are four digits, the last group is filled up
/// with '='.
std::string base64(std::span<const uint8_t> bytes);

/// The bytes that such a text stands for; none if it is not one: another character, a group that is
/// not whole, bits that belong to no byte.
std::optional<std::vector<uint8_t>> base64_bytes(std::string_view text);

}  // namespace pal
