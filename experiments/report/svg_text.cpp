#include "experiments/report/svg_text.h"

#include <fmt/format.h>

#include "experiments/report/base64.h"
#include "runtime/text.h"

namespace pal {

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
