#include "data/pictures/cutout.h"

#include <gtest/gtest.h>

#include "tests/data/image_writers.h"

namespace pal {
namespace {

using testing::Bytes;
using testing::data_error;

/// 5x4, transparent but for two pixels at (1, 1) and (3, 2).
Bytes two_pixels() {
  Bytes rows(4 * 5 * 4, 0);
  const auto set = [&](size_t x, size_t y, const Bytes& rgba) {
    std::copy(rgba.begin(), rgba.end(), rows.begin() + static_cast<long>(4 * (5 * y + x)));
  };
  set(1, 1, {200, 100, 50, 255});
  set(3, 2, {200, 100, 50, 51});
  set(4, 3, {255, 255, 255, 3});
  testing::PngOptions options;
  options.colour = PNG_COLOR_TYPE_RGB_ALPHA;
  return testing::png_bytes(5, 4, rows, options);
}

TEST(Cutout, IsCutToWhatIsVisible) {
  const Cutout cutout = decode_cutout(two_pixels(), "x.png");
  EXPECT_EQ(cutout.alpha.width, 3);
  EXPECT_EQ(cutout.alpha.height, 2);
  EXPECT_EQ(cutout.alpha.pixels, (Bytes{255, 0, 0, 0, 0, 51}));
  EXPECT_EQ(cutout.colour.pixels, (Bytes{200, 100, 50, 0, 0, 0, 0, 0, 0,  //
                                         0, 0, 0, 0, 0, 0, 40, 20, 10}));
}

TEST(Cutout, OpaquePicturesAreOpaque) {
  const Cutout cutout = decode_cutout(testing::png_bytes(2, 1, {1, 2, 3, 4, 5, 6}), "x.png");
  EXPECT_EQ(cutout.alpha.pixels, (Bytes{255, 255}));
  EXPECT_EQ(cutout.colour.pixels, (Bytes{1, 2, 3, 4, 5, 6}));
}

TEST(Cutout, RefusesWhatItCannotUse) {
  Bytes cut = two_pixels();
  cut.erase(cut.end() - 30, cut.end());
  EXPECT_EQ(data_error([&] { decode_cutout(cut, "x.png"); }).rfind("x.png: broken PNG: ", 0), 0U);
  testing::PngOptions clear;
  clear.colour = PNG_COLOR_TYPE_RGB_ALPHA;
  const Bytes nothing = testing::png_bytes(1, 1, {9, 9, 9, 0}, clear);
  EXPECT_EQ(data_error([&] { decode_cutout(nothing, "x.png"); }), "x.png: nothing is visible");
  EXPECT_EQ(data_error([&] {
              decode_cutout(testing::jpeg_bytes(1, 1, {1, 2, 3}), "x.png");
            }),
            "x.png: expected a PNG with transparency");
  ImageLimits limits;
  limits.max_pixels = 19;
  EXPECT_NE(
      data_error([&] { decode_cutout(two_pixels(), "x.png", limits); }).find("raise max-pixels"),
      std::string::npos);
}

}  // namespace
}  // namespace pal
