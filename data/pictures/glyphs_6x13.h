#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace pal {

/// Size of every glyph in pixels, the space to its neighbours included.
inline constexpr size_t kGlyphWidth = 6;
inline constexpr size_t kGlyphHeight = 13;

/// Rows from the top, six bits each: 0x20 is the leftmost pixel, 0x01 the rightmost.
using Glyph = std::array<uint8_t, kGlyphHeight>;

/// The glyph of a Unicode character of ASCII, Latin-1 or Latin Extended-A (U+0020 to U+017F without
/// control characters) in the X Window System's font 6x13; a box for any other.
Glyph glyph_of(char32_t code);

}  // namespace pal
