#include "data/pictures/picture_sheet.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "data/pictures/text_image.h"
#include "runtime/error.h"

namespace pal {
namespace {

using Bytes = std::vector<uint8_t>;

Image picture(int64_t width, int64_t height, int64_t channels, Bytes pixels) {
  Image image;
  image.width = width;
  image.height = height;
  image.channels = channels;
  image.pixels = std::move(pixels);
  return image;
}

PictureSheet bare(std::vector<SheetRow> rows) {
  PictureSheet sheet;
  sheet.rows = std::move(rows);
  sheet.labels = false;
  return sheet;
}

/// Pixels of a region that are not white.
int64_t inked(const Image& image, int64_t left, int64_t top, int64_t right, int64_t bottom) {
  int64_t count = 0;
  for (int64_t y = top; y < bottom; ++y)
    for (int64_t x = left; x < right; ++x)
      count += image.pixels[static_cast<size_t>(y * image.row() + x * image.channels)] != 255;
  return count;
}

TEST(PictureSheet, FillsRowsAndGaps) {
  const Image a = picture(2, 1, 1, {1, 2});
  const Image b = picture(2, 1, 1, {3, 4});
  const Image sheet = sheet_image(bare({{"", {}, {a, b}}, {"", {}, {a}}}));
  EXPECT_EQ(sheet.width, 6);
  EXPECT_EQ(sheet.height, 4);
  EXPECT_EQ(sheet.pixels, (Bytes{1,   2,   255, 255, 3,   4,    //
                                 255, 255, 255, 255, 255, 255,  //
                                 255, 255, 255, 255, 255, 255,  //
                                 1,   2,   255, 255, 255, 255}));
}

TEST(PictureSheet, SetsColumnsApart) {
  const Image a = picture(2, 1, 1, {1, 2});
  PictureSheet sheet = bare({{"", {}, {a, a, a}}, {"", {}, {a}}});
  const int64_t plain = sheet_image(sheet).width;
  sheet.apart = {1};
  const Image image = sheet_image(sheet);
  const int64_t gap = image.width - plain;
  EXPECT_GT(gap, 10);
  EXPECT_EQ(inked(image, 0, 0, 2, 1), 2);
  EXPECT_EQ(inked(image, 2, 0, 4 + gap, 1), 0);
  EXPECT_EQ(inked(image, 4 + gap, 0, 6 + gap, 1), 2);
  EXPECT_EQ(inked(image, 8 + gap, 0, 10 + gap, 1), 2);
  sheet.apart = {1, 2};
  const Image three = sheet_image(sheet);
  EXPECT_EQ(three.width, plain + 2 * gap);
  EXPECT_EQ(inked(three, 4 + gap, 0, 6 + gap, 1), 2);
  EXPECT_EQ(inked(three, 6 + gap, 0, 8 + 2 * gap, 1), 0);
  EXPECT_EQ(inked(three, 8 + 2 * gap, 0, 10 + 2 * gap, 1), 2);
  // Nothing to set apart.
  sheet.apart = {3};
  EXPECT_EQ(sheet_image(sheet).width, plain);
}

TEST(PictureSheet, RepeatsPixels) {
  PictureSheet sheet = bare({{"unseen", {"unseen"}, {picture(2, 1, 1, {1, 2})}}});
  sheet.headline = "unseen";
  sheet.scale = 2;
  const Image image = sheet_image(sheet);
  EXPECT_EQ(image.width, 4);
  EXPECT_EQ(image.height, 2);
  EXPECT_EQ(image.pixels, (Bytes{1, 1, 2, 2, 1, 1, 2, 2}));
}

TEST(PictureSheet, SpreadsGreyOverColours) {
  const Image grey = picture(1, 1, 1, {7});
  const Image colour = picture(1, 1, 3, {9, 8, 5});
  const Image sheet = sheet_image(bare({{"", {}, {grey, colour}}}));
  EXPECT_EQ(sheet.channels, 3);
  EXPECT_EQ(sheet.pixels, (Bytes{7, 7, 7, 255, 255, 255, 255, 255, 255, 9, 8, 5}));
}

TEST(PictureSheet, NamesRowsAndPictures) {
  // White pictures, so that all ink is text.
  const Image white = picture(30, 20, 1, Bytes(600, 255));
  PictureSheet sheet;
  sheet.rows = {{"first", {"one", "two"}, {white, white}}, {"W", {}, {white}}};
  const int64_t title = text_width("first");
  const int64_t left = 8 + title + 8;
  const int64_t top = 8 + text_height() + 4;
  const Image image = sheet_image(sheet);
  EXPECT_EQ(image.width, left + 30 + 2 + 30 + 8);
  EXPECT_EQ(image.height, top + 20 + 2 + 20 + 8);
  EXPECT_GT(inked(image, left, 8, left + 30, top), 0);                  // "one"
  EXPECT_GT(inked(image, left + 32, 8, left + 62, top), 0);             // "two"
  EXPECT_GT(inked(image, 8, top, 8 + title, top + 20), 0);              // "first"
  EXPECT_GT(inked(image, left - 14, top + 22, left - 8, top + 42), 0);  // "W", at the right
  EXPECT_EQ(inked(image, 0, top + 22, left - 14, top + 42), 0);
  EXPECT_EQ(inked(image, left, top, image.width, image.height), 0);  // nothing over pictures
  const auto darkest = std::ranges::min(image.pixels);
  EXPECT_LT(darkest, 64);

  sheet.headline = "a headline wider than all of the pictures";
  const Image headed = sheet_image(sheet);
  EXPECT_EQ(headed.width, text_width(sheet.headline) + 16);
  EXPECT_EQ(headed.height, image.height + text_height() + 4 + 8);
}

TEST(PictureSheet, WritesNotesUnderPictures) {
  const Image white = picture(30, 20, 1, Bytes(600, 255));
  PictureSheet sheet;
  sheet.rows = {{"", {}, {white, white}, {"a\nb", "c"}}, {"", {}, {white}}};
  const Image image = sheet_image(sheet);
  const int64_t under = 8 + 20 + 2;
  const int64_t line = text_height();
  EXPECT_EQ(image.width, 8 + 62 + 8);
  EXPECT_EQ(image.height, under + 2 * line + 8 + 20 + 8);
  EXPECT_EQ(inked(image, 0, 0, 78, under), 0);
  EXPECT_GT(inked(image, 8, under, 38, under + line), 0);             // "a"
  EXPECT_GT(inked(image, 8, under + line, 38, under + 2 * line), 0);  // "b"
  EXPECT_GT(inked(image, 40, under, 70, under + line), 0);            // "c"
  EXPECT_EQ(inked(image, 38, under + line, 78, image.height), 0);     // no second line
  EXPECT_EQ(inked(image, 0, under + 2 * line, 78, image.height), 0);
  sheet.labels = false;
  EXPECT_EQ(sheet_image(sheet).height, 42);
}

TEST(PictureSheet, CutsTitlesAndCaptions) {
  const Image white = picture(30, 20, 1, Bytes(600, 255));
  PictureSheet sheet;
  sheet.rows = {{std::string(500, 'W'), {"caption too long", "b"}, {white, white}}};
  const Image image = sheet_image(sheet);
  EXPECT_EQ(image.width, 8 + 192 + 8 + 62 + 8);
  const int64_t left = 208;
  EXPECT_EQ(inked(image, left + 30, 8, left + 32, 8 + text_height()), 0);  // between captions
  EXPECT_EQ(inked(image, left - 8, 0, left, image.height), 0);             // behind the title
  EXPECT_EQ(inked(image, 0, 0, 8, image.height), 0);
}

TEST(PictureSheet, WritesLargerBesideLargePictures) {
  PictureSheet sheet;
  sheet.rows = {{"W", {}, {picture(224, 224, 1, Bytes(224 * 224, 255))}}};
  const Image image = sheet_image(sheet);
  EXPECT_EQ(image.width, 8 + 2 * text_width("W") + 8 + 224 + 8);
  EXPECT_GT(inked(image, 8, 8 + 112 - 13, 8 + 12, 8 + 112 + 13), 0);
  EXPECT_EQ(inked(image, 8 + 12, 0, image.width, image.height), 0);
}

TEST(PictureSheet, ScalesToWhatCanBeSeen) {
  EXPECT_EQ(sheet_scale(8), 12);
  EXPECT_EQ(sheet_scale(28), 3);
  EXPECT_EQ(sheet_scale(32), 3);
  EXPECT_EQ(sheet_scale(64), 2);
  EXPECT_EQ(sheet_scale(96), 1);
  EXPECT_EQ(sheet_scale(224), 1);
  EXPECT_EQ(sheet_scale(1000), 1);
}

TEST(PictureSheet, RefusesWhatItCannotLayOut) {
  const Image a = picture(2, 1, 1, {1, 2});
  const Image tall = picture(2, 2, 1, {1, 2, 3, 4});
  EXPECT_THROW(sheet_image(bare({})), Error);
  EXPECT_THROW(sheet_image(bare({{"title", {}, {}}})), Error);
  EXPECT_THROW(sheet_image(bare({{"", {}, {a}}, {"", {}, {tall}}})), Error);
  PictureSheet sheet = bare({{"", {}, {a}}});
  sheet.scale = 0;
  EXPECT_THROW(sheet_image(sheet), Error);
  sheet.scale = 40000;
  EXPECT_THROW(sheet_image(sheet), Error);
}

}  // namespace
}  // namespace pal
