#pragma once
#include <cstdint>
#include <span>
#include <string>

namespace pal {

/// Labels are numbers below this, so that a lying one cannot ask for much memory.
inline constexpr int32_t kMaxClasses = 1'000'000;

/// The label in a .cls member: digits, with white space around. `where` (ARCHIVE:OFFSET) stands in
/// messages. Throws data for anything else and for a label of kMaxClasses or more.
int32_t parse_cls(std::span<const uint8_t> bytes, const std::string& where);

/// The label in a .json member: the integer "label" or "cls" of an object; other entries may be
/// anything. Throws data for broken or deep JSON, a missing, repeated or contradicting label, and
/// one that is not an integer below kMaxClasses.
int32_t parse_json_label(std::span<const uint8_t> bytes, const std::string& where);

}  // namespace pal
