#include "experiments/report/base64.h"

#include <algorithm>
#include <array>

namespace pal {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The value of each character; 64 of one that is no digit.
constexpr std::array<uint8_t, 256> kDigitValues = [] {
  std::array<uint8_t, 256> values{};
  values.fill(64);
  for (size_t i = 0; i < kDigits.size(); ++i)
    values[static_cast<uint8_t>(kDigits[i])] = static_cast<uint8_t>(i);
  return values;
}();

}  // namespace

std::string base64(std::span<const uint8_t> bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8U | (k < count ? bytes[i + k] : 0U);
    for (size_t k = 0; k < 4; ++k) text += k <= count ? kDigits[group >> (18 - 6 * k) & 63U] : '=';
  }
  return text;
}

std::optional<std::vector<uint8_t>> base64_bytes(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  const size_t filled = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  std::vector<uint8_t> bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    const size_t digits = i + 4 == text.size() ? 4 - filled : 4;
    uint32_t group = 0;
    for (size_t k = 0; k < 4; ++k) {
      const uint32_t value = k < digits ? kDigitValues[static_cast<uint8_t>(text[i + k])] : 0U;
      if (value > 63) return std::nullopt;
      group = group << 6U | value;
    }
    for (size_t k = 0; k + 1 < digits; ++k)
      bytes.push_back(static_cast<uint8_t>(group >> (16 - 8 * k)));
    // One text for the same bytes: what the last digit has too many must be zero.
    if (digits < 4 && (group & ((1U << (8 * (4 - digits))) - 1U)) != 0) return std::nullopt;
  }
  return bytes;
}

}  // namespace pal
