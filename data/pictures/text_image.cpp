#include "data/pictures/text_image.h"

#include <algorithm>

#include "data/pictures/glyphs_6x13.h"
#include "runtime/text.h"

namespace pal {
namespace {

constexpr auto kWidth = static_cast<int64_t>(kGlyphWidth);
constexpr auto kHeight = static_cast<int64_t>(kGlyphHeight);
constexpr char32_t kNoCharacter = 0xfffd;

struct Character {
  char32_t code = kNoCharacter;
  size_t end = 0;  ///< of its bytes in the text
};

/// The code point of one valid character.
char32_t code_point(std::string_view character) {
  const auto lead = static_cast<uint8_t>(character[0]);
  if (character.size() == 1) return lead;
  char32_t code = lead & (0x7fU >> character.size());
  for (const char c : character.substr(1)) code = code << 6 | (static_cast<uint8_t>(c) & 0x3fU);
  return code;
}

std::vector<Character> characters(std::string_view text) {
  std::vector<Character> found;
  size_t valid = valid_utf8_length(text);
  for (size_t at = 0; at < text.size();) {
    if (at == valid) {
      found.push_back({kNoCharacter, ++at});
      valid = at + valid_utf8_length(text.substr(at));
      continue;
    }
    size_t end = at + 1;
    while (end < valid && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) ++end;
    found.push_back({code_point(text.substr(at, end - at)), end});
    at = end;
  }
  return found;
}

/// Fills the part of a square that lies in the image.
void fill_square(Image& image, int64_t left, int64_t top, int64_t side, uint8_t level) {
  const int64_t from = std::clamp<int64_t>(left, 0, image.width);
  const int64_t to = std::clamp<int64_t>(left + side, 0, image.width);
  for (int64_t y = std::max<int64_t>(0, top); y < std::min(top + side, image.height); ++y) {
    const auto line = image.pixels.begin() + y * image.row();
    std::fill(line + from * image.channels, line + to * image.channels, level);
  }
}

}  // namespace

int64_t text_height() { return kHeight; }

int64_t text_width(std::string_view text) {
  return kWidth * static_cast<int64_t>(characters(text).size());
}

std::string shortened(std::string_view text, int64_t width) {
  const std::vector<Character> all = characters(text);
  const auto room = static_cast<size_t>(std::max<int64_t>(0, width / kWidth));
  if (all.size() <= room) return std::string(text);
  const size_t dots = std::min<size_t>(3, room);
  const size_t kept = room - dots;
  return std::string(text.substr(0, kept == 0 ? 0 : all[kept - 1].end)) + std::string(dots, '.');
}

void draw_text(Image& image, int64_t x, int64_t y, std::string_view text, uint8_t level,
               int64_t scale) {
  for (const Character& character : characters(text)) {
    const Glyph rows = glyph_of(character.code);
    for (int64_t dy = 0; dy < kHeight; ++dy)
      for (int64_t dx = 0; dx < kWidth; ++dx)
        if ((rows[static_cast<size_t>(dy)] >> (kWidth - 1 - dx) & 1) != 0)
          fill_square(image, x + dx * scale, y + dy * scale, scale, level);
    x += kWidth * scale;
  }
}

}  // namespace pal
