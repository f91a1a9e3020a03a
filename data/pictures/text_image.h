#pragma once
#include <string>
#include <string_view>

#include "data/pictures/image_file.h"

// Text as pixels: one line of UTF-8 in a fixed-width font (data/pictures/glyphs_6x13.h). Characters
// without a glyph and bytes that are not UTF-8 are boxes, one for each.
namespace pal {

/// Height of a line in pixels.
int64_t text_height();

/// Width of a text in pixels.
int64_t text_width(std::string_view text);

/// The text if it is at most `width` pixels wide; else its beginning with "..." for what is cut off
/// (or as many dots as there is room for).
std::string shortened(std::string_view text, int64_t width);

/// Draws a text whose upper left corner is pixel (x, y), in a grey `level`, `scale` times as large
/// as measured above; what lies beyond the image's edges is left out. Other pixels stay as they
/// are.
void draw_text(Image& image, int64_t x, int64_t y, std::string_view text, uint8_t level = 0,
               int64_t scale = 1);

}  // namespace pal
