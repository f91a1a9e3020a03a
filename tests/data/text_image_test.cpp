#include "data/pictures/text_image.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "data/pictures/glyphs_6x13.h"

namespace pal {
namespace {

/// A text in black on white, as rows of '#' and '.'.
std::vector<std::string> drawn(std::string_view text) {
  Image image;
  image.width = text_width(text);
  image.height = text_height();
  image.channels = 1;
  image.pixels.assign(static_cast<size_t>(image.width * image.height), 255);
  draw_text(image, 0, 0, text);
  std::vector<std::string> rows;
  for (int64_t y = 0; y < image.height; ++y) {
    rows.emplace_back();
    for (int64_t x = 0; x < image.width; ++x)
      rows.back() += image.pixels[static_cast<size_t>(y * image.width + x)] == 0 ? '#' : '.';
  }
  return rows;
}

TEST(TextImage, DrawsLetters) {
  EXPECT_EQ(drawn("A\u00dc"), (std::vector<std::string>{"............",  //
                                                        ".......#.#..",  //
                                                        "..#....#.#..",  //
                                                        ".#.#........",  //
                                                        "#...#.#...#.",  //
                                                        "#...#.#...#.",  //
                                                        "#...#.#...#.",  //
                                                        "#####.#...#.",  //
                                                        "#...#.#...#.",  //
                                                        "#...#.#...#.",  //
                                                        "#...#..###..",  //
                                                        "............",  //
                                                        "............"}));
}

TEST(TextImage, KnowsEveryCharacterToLatinExtendedA) {
  const Glyph box = glyph_of(0xfffd);
  const Glyph space = glyph_of(U' ');
  EXPECT_NE(box, space);
  int64_t known = 0;
  for (char32_t code = 0; code < 0x200; ++code) {
    const Glyph glyph = glyph_of(code);
    known += glyph != box ? 1 : 0;
    if (glyph == space) {
      EXPECT_TRUE(code == U' ' || code == 0xa0) << static_cast<uint32_t>(code);
    }
  }
  EXPECT_EQ(known, 95 + 96 + 128);
  EXPECT_NE(glyph_of(U'\u017f'), box);
  EXPECT_EQ(glyph_of(0x10ffff), box);
}

TEST(TextImage, DrawsBoxesForWhatItCannotRead) {
  const auto box = drawn("\u4e2d");
  EXPECT_EQ(box, drawn("\U0001f600"));
  EXPECT_EQ(box, drawn("\n"));
  for (const char* bad : {"\xff", "\xc3", "\x80", "\xe2\x82", "\xed\xa0\x80", "\xf8\x88"}) {
    const auto bytes = static_cast<int64_t>(std::string_view(bad).size());
    EXPECT_EQ(text_width(bad), 6 * bytes);
    const auto rows = drawn(bad);
    for (size_t y = 0; y < rows.size(); ++y) EXPECT_EQ(rows[y].substr(0, 6), box[y]);
  }
  EXPECT_EQ(text_width("a\xffz"), 18);
  EXPECT_EQ(text_width(""), 0);
}

TEST(TextImage, LeavesOutWhatLiesBeyondTheEdges) {
  Image image;
  image.width = 7;
  image.height = 5;
  image.channels = 3;
  image.pixels.assign(7 * 5 * 3, 200);
  draw_text(image, -100, 0, "W");
  draw_text(image, 3, 5, "W");
  EXPECT_EQ(std::ranges::count(image.pixels, 200), 7 * 5 * 3);
  draw_text(image, -2, -4, "WWW", 10);
  const auto dark = std::ranges::count(image.pixels, 10);
  EXPECT_GT(dark, 0);
  EXPECT_EQ(dark % 3, 0);  // all channels of a pixel alike
  EXPECT_EQ(std::ranges::count(image.pixels, 200), 7 * 5 * 3 - dark);
}

TEST(TextImage, MagnifiesLetters) {
  Image image;
  image.width = 18;
  image.height = 39;
  image.channels = 1;
  image.pixels.assign(18 * 39, 255);
  draw_text(image, 0, 0, "A", 0, 3);
  const auto small = drawn("A");
  for (int64_t y = 0; y < 39; ++y)
    for (int64_t x = 0; x < 18; ++x)
      EXPECT_EQ(image.pixels[static_cast<size_t>(y * 18 + x)] == 0,
                small[static_cast<size_t>(y / 3)][static_cast<size_t>(x / 3)] == '#');
}

TEST(TextImage, CutsLongTexts) {
  EXPECT_EQ(shortened("W\u00fcrfel", 36), "W\u00fcrfel");
  EXPECT_EQ(shortened("W\u00fcrfel", 35), "W\u00fc...");
  EXPECT_EQ(shortened("W\u00fcrfel", 18), "...");
  EXPECT_EQ(shortened("W\u00fcrfel", 6), ".");
  EXPECT_EQ(shortened("W\u00fcrfel", 0), "");
  EXPECT_EQ(shortened("", 0), "");
}

}  // namespace
}  // namespace pal
