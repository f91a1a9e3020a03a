#include "experiments/report/svg_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "runtime/text.h"

namespace pal {
namespace {

/// Three bytes are four digits; the last group is filled up with '='.
std::string base64(std::span<const uint8_t> bytes) {
  constexpr const char* kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8U | (k < count ? bytes[i + k] : 0U);
    for (size_t k = 0; k < 4; ++k) text += k <= count ? kDigits[group >> (18 - 6 * k) & 63U] : '=';
  }
  return text;
}

}  // namespace

std::string svg_text(const std::string& text) {
  std::string safe;
  for (const char c : one_line(text)) {
    if (c == '&')
      safe += "&amp;";
    else if (c == '<')
      safe += "&lt;";
    else if (c == '>')
      safe += "&gt;";
    else
      safe += c;
  }
  return safe;
}

std::string data_address(const Image& picture) {
  const std::vector<uint8_t> bytes = encode_png(picture, 6);
  return "data:image/png;base64," + base64(bytes);
}

std::string data_address(const std::string& svg) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(svg.data());
  return "data:image/svg+xml;base64," + base64({bytes, svg.size()});
}

std::string svg_picture(int width, int height, const std::string& content) {
  return fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}" font-family="sans-serif" font-size="12">
<rect width="{0}" height="{1}" fill="white"/>
{2}</svg>
)",
      width, height, content);
}

}  // namespace pal
