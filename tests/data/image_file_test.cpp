#include "data/pictures/image_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "data/pictures/exif.h"
#include "runtime/file.h"
#include "runtime/philox.h"
#include "tests/data/image_writers.h"

namespace pal {
namespace {

using testing::Bytes;
using testing::data_error;
using testing::jpeg_bytes;
using testing::JpegOptions;
using testing::png_bytes;
using testing::PngOptions;

/// A smooth picture, which JPEG keeps to within a few levels.
Bytes gradient(int width, int height, int channels) {
  Bytes values;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c)
        values.push_back(static_cast<uint8_t>(40 + 3 * x + 2 * y + 25 * c));
  return values;
}

int largest_difference(const Bytes& a, const Bytes& b) {
  EXPECT_EQ(a.size(), b.size());
  int worst = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

TEST(Png, RoundTripsOwnPictures) {
  const testing::TemporaryFolder folder;
  for (const int channels : {1, 3}) {
    Image image;
    image.width = 17;
    image.height = 5;
    image.channels = channels;
    image.pixels = gradient(17, 5, channels);
    const std::string path = folder.path() + "/a.png";
    write_png(path, image);
    const Image again = read_image(path);
    EXPECT_EQ(again.pixels, image.pixels);
    EXPECT_EQ(again.channels, channels);
    EXPECT_EQ(again.width, 17);
    EXPECT_TRUE(again.warnings.empty());
  }
  Image wrong;
  wrong.width = wrong.height = wrong.channels = 2;
  wrong.pixels.resize(8);
  EXPECT_THROW(encode_png(wrong), Error);
}

TEST(Png, ReadsSmallDepthsAndPalettes) {
  // 1 bit: 10110000 -> white black white white.
  EXPECT_EQ(decode_image(png_bytes(4, 1, {0xb0}, {.colour = PNG_COLOR_TYPE_GRAY, .depth = 1}), "a")
                .pixels,
            (Bytes{255, 0, 255, 255}));
  PngOptions palette{.colour = PNG_COLOR_TYPE_PALETTE, .depth = 2};
  palette.more = [](png_structp png, png_infop info) {
    const png_color colours[] = {{1, 2, 3}, {40, 50, 60}, {7, 8, 9}};
    png_set_PLTE(png, info, colours, 3);
  };
  const Image image = decode_image(png_bytes(3, 1, {0x18}, palette), "a");  // indices 0, 1, 2
  EXPECT_EQ(image.channels, 3);
  EXPECT_EQ(image.pixels, (Bytes{1, 2, 3, 40, 50, 60, 7, 8, 9}));
}

TEST(Png, LaysTransparencyOverWhite) {
  const Bytes rgba = {10, 20, 30, 255, 10, 20, 30, 0, 0, 100, 200, 128};
  EXPECT_EQ(decode_image(png_bytes(3, 1, rgba, {.colour = PNG_COLOR_TYPE_RGB_ALPHA}), "a").pixels,
            (Bytes{10, 20, 30, 255, 255, 255, 127, 177, 227}));
  const Image grey =
      decode_image(png_bytes(2, 1, {9, 255, 9, 0}, {.colour = PNG_COLOR_TYPE_GRAY_ALPHA}), "a");
  EXPECT_EQ(grey.channels, 1);
  EXPECT_EQ(grey.pixels, (Bytes{9, 255}));
  PngOptions keyed{.colour = PNG_COLOR_TYPE_PALETTE, .depth = 8};
  keyed.more = [](png_structp png, png_infop info) {
    const png_color colours[] = {{1, 2, 3}, {4, 5, 6}};
    const png_byte alpha[] = {0};
    png_set_PLTE(png, info, colours, 2);
    png_set_tRNS(png, info, alpha, 1, nullptr);
  };
  EXPECT_EQ(decode_image(png_bytes(2, 1, {0, 1}, keyed), "a").pixels,
            (Bytes{255, 255, 255, 4, 5, 6}));
}

TEST(Png, RoundsSixteenBitsAndReadsInterlaced) {
  // 257 levels of 16 bits are one of 8; 384 is nearest to 1, 386 too, 650 to 3.
  const Bytes grey = {0x01, 0x01, 0x01, 0x80, 0x02, 0x8a, 0xff, 0xff};
  EXPECT_EQ(
      decode_image(png_bytes(4, 1, grey, {.colour = PNG_COLOR_TYPE_GRAY, .depth = 16}), "a").pixels,
      (Bytes{1, 1, 3, 255}));
  const Bytes values = gradient(13, 11, 3);
  EXPECT_EQ(decode_image(png_bytes(13, 11, values, {.interlaced = true}), "a").pixels, values);
}

TEST(Png, WarnsOnlyWhenPixelsAreWhole) {
  const Bytes values = gradient(13, 11, 3);
  const Bytes whole = png_bytes(13, 11, values);
  const Image endless = decode_image(Bytes(whole.begin(), whole.end() - 12), "a");  // no IEND
  EXPECT_EQ(endless.pixels, values);
  EXPECT_EQ(endless.warnings.size(), 1U);
  for (size_t size = 8; size < whole.size() - 12; ++size) {
    const std::string message =
        data_error([&] { decode_image(std::span(whole).first(size), "a"); });
    ASSERT_EQ(message.rfind("a:", 0), 0U) << size << ' ' << message;
  }
}

TEST(Jpeg, ReadsGreyColourAndProgressive) {
  const Bytes grey = gradient(19, 23, 1);
  const Image decoded = decode_image(
      jpeg_bytes(19, 23, grey, {.stored = JCS_GRAYSCALE, .given = JCS_GRAYSCALE}), "a");
  EXPECT_EQ(decoded.channels, 1);
  EXPECT_LE(largest_difference(decoded.pixels, grey), 3);
  const Bytes colour = gradient(19, 23, 3);
  for (const JpegOptions& options :
       {JpegOptions{}, JpegOptions{.progressive = true}, JpegOptions{.separate_scans = true},
        JpegOptions{.stored = JCS_RGB}}) {
    const Image image = decode_image(jpeg_bytes(19, 23, colour, options), "a");
    EXPECT_EQ(image.width, 19);
    EXPECT_EQ(image.height, 23);
    EXPECT_LE(largest_difference(image.pixels, colour), 6);
    EXPECT_TRUE(image.warnings.empty());
  }
}

TEST(Jpeg, ConvertsInks) {
  Bytes inks;
  Bytes rgb;
  for (int i = 0; i < 16 * 16; ++i) {
    testing::append(inks, {250, 100, 60, 200});  // inverted, as with an Adobe marker
    testing::append(rgb, {196, 78, 47});
  }
  for (const J_COLOR_SPACE stored : {JCS_CMYK, JCS_YCCK}) {
    const Bytes file = jpeg_bytes(16, 16, inks, {.stored = stored, .given = JCS_CMYK});
    EXPECT_LE(largest_difference(decode_image(file, "a").pixels, rgb), 3);
  }
  // Without the marker the same values are inks as they are.
  Bytes plain = jpeg_bytes(16, 16, inks, {.stored = JCS_CMYK, .given = JCS_CMYK});
  const Bytes adobe = {0xff, 0xee, 0, 14};
  const auto marker = std::search(plain.begin(), plain.end(), adobe.begin(), adobe.end());
  ASSERT_NE(marker, plain.end());
  plain.erase(marker, marker + 16);
  const Image image = decode_image(plain, "a");
  EXPECT_NEAR(image.pixels[0], 5 * 55 / 255, 2);
  EXPECT_NEAR(image.pixels[1], 155 * 55 / 255, 2);
}

TEST(Jpeg, AppliesEveryOrientation) {
  // One bright corner, top left of the upright picture; where it is stored under each orientation:
  // 1 top left, 2 top right, 3 bottom right, 4 bottom left, 5 top left, 6 bottom left, ...
  struct Case {
    uint8_t orientation;
    bool right, bottom;
  };
  const Case cases[] = {{1, false, false}, {2, true, false}, {3, true, true}, {4, false, true},
                        {5, false, false}, {6, false, true}, {7, true, true}, {8, true, false}};
  for (const Case& c : cases) {
    Bytes stored(32 * 16, 20);
    for (int y = 0; y < 8; ++y)
      for (int x = 0; x < 8; ++x)
        stored[static_cast<size_t>((y + (c.bottom ? 8 : 0)) * 32 + x + (c.right ? 24 : 0))] = 220;
    for (const bool little : {false, true}) {
      JpegOptions options{.stored = JCS_GRAYSCALE, .given = JCS_GRAYSCALE};
      options.exif = testing::exif_bytes(c.orientation, little);
      const Image image = decode_image(jpeg_bytes(32, 16, stored, options), "a");
      SCOPED_TRACE(static_cast<int>(c.orientation));
      EXPECT_EQ(image.width, c.orientation < 5 ? 32 : 16);
      EXPECT_EQ(image.height, c.orientation < 5 ? 16 : 32);
      EXPECT_GT(image.pixels[0], 200);
      EXPECT_LT(image.pixels.back(), 40);
      EXPECT_TRUE(image.warnings.empty());
    }
  }
}

TEST(Exif, TurnsBeforeItMirrors) {
  // a b c / d e f under 5 (transpose), 6 (turn right), 7 (transverse), 8 (turn left).
  Image image;
  image.width = 3;
  image.height = 2;
  image.channels = 1;
  image.pixels = {'a', 'b', 'c', 'd', 'e', 'f'};
  const std::pair<int, std::string> expected[] = {{1, "abcdef"}, {2, "cbafed"}, {3, "fedcba"},
                                                  {4, "defabc"}, {5, "adbecf"}, {6, "daebfc"},
                                                  {7, "fcebda"}, {8, "cfbead"}};
  for (const auto& [orientation, letters] : expected) {
    Image turned = image;
    apply_orientation(turned, orientation);
    EXPECT_EQ(std::string(turned.pixels.begin(), turned.pixels.end()), letters) << orientation;
  }
}

TEST(Exif, DamageIsAWarning) {
  const Bytes good = testing::exif_bytes(6, true);
  EXPECT_EQ(exif_orientation(good), (ExifOrientation{6, ""}));
  EXPECT_EQ(exif_orientation(testing::exif_bytes(0, false)), ExifOrientation{});
  EXPECT_NE(exif_orientation(testing::exif_bytes(9, false)).fault, "");
  for (size_t size = 0; size < 28; ++size) {
    const ExifOrientation cut = exif_orientation(std::span(good).first(size));
    EXPECT_EQ(cut.value, 1) << size;
    EXPECT_NE(cut.fault, "") << size;
  }
  Bytes far = good;
  far[13] = 0x7f;  // the folder's offset points beyond the data
  JpegOptions options;
  options.exif = far;
  const Bytes values = gradient(16, 16, 3);
  const Image image = decode_image(jpeg_bytes(16, 16, values, options), "a");
  EXPECT_EQ(image.warnings.size(), 1U);
  EXPECT_LE(largest_difference(image.pixels, values), 6);
}

TEST(Jpeg, RefusesWhereverPixelsAreLost) {
  const Bytes values = gradient(64, 48, 3);
  for (const JpegOptions& options :
       {JpegOptions{}, JpegOptions{.progressive = true}, JpegOptions{.separate_scans = true}}) {
    const Bytes whole = jpeg_bytes(64, 48, values, options);
    const Image reference = decode_image(whole, "a");
    size_t accepted = 0;
    for (size_t size = 3; size < whole.size(); ++size) {
      try {
        const Image image = decode_image(std::span(whole).first(size), "a");
        // What is accepted is whole and says so.
        ASSERT_EQ(image.pixels, reference.pixels) << size;
        ASSERT_FALSE(image.warnings.empty());
        ++accepted;
      } catch (const Error& error) {
        ASSERT_EQ(error.kind(), ErrorKind::data);
        ASSERT_EQ(std::string(error.what()).rfind("a:", 0), 0U) << error.what();
      }
    }
    EXPECT_GE(accepted, 1U);
    EXPECT_LE(accepted, 5U);
  }
}

TEST(Jpeg, WarnsOfBytesAfterThePicture) {
  Bytes file = jpeg_bytes(16, 16, gradient(16, 16, 3));
  file.insert(file.end() - 2, 40, 1);  // more than libjpeg reads ahead
  EXPECT_EQ(decode_image(file, "a").warnings.size(), 1U);
}

TEST(Jpeg, LimitsSizeAndScans) {
  const Bytes file = jpeg_bytes(64, 48, gradient(64, 48, 3), {.progressive = true});
  EXPECT_NO_THROW(decode_image(file, "a", {.max_pixels = 64 * 48}));
  EXPECT_NE(data_error([&] {
              decode_image(file, "a", {.max_pixels = 64 * 48 - 1});
            }).find("a: 64x48 are more than 3071 pixels"),
            std::string::npos);
  EXPECT_NE(data_error([&] { decode_image(file, "a", {.max_scans = 3}); }).find("more scans than"),
            std::string::npos);
  Bytes claims =
      jpeg_bytes(8, 8, gradient(8, 8, 1), {.stored = JCS_GRAYSCALE, .given = JCS_GRAYSCALE});
  const Bytes frame = {0xff, 0xc0};
  const auto start = std::search(claims.begin(), claims.end(), frame.begin(), frame.end());
  start[5] = 0x20;
  start[7] = 0x20;  // 8200 x 8200 in some hundred bytes: within the pixel limit, yet impossible
  EXPECT_NE(data_error([&] { decode_image(claims, "a"); }).find("a: claims 8200x8200 pixels in"),
            std::string::npos);
}

TEST(ImageFile, SniffsAndRefusesOthers) {
  const Bytes gif = {'G', 'I', 'F', '8', '9', 'a', 0, 0, 0};
  EXPECT_EQ(sniff_format(gif), ImageFormat::unknown);
  EXPECT_EQ(sniff_format(png_bytes(1, 1, {1, 2, 3})), ImageFormat::png);
  EXPECT_EQ(sniff_format(jpeg_bytes(1, 1, {1, 2, 3})), ImageFormat::jpeg);
  EXPECT_EQ(data_error([&] { decode_image(gif, "a.jpg"); }),
            "a.jpg: neither PNG nor JPEG: it begins with 47 49 46 38 39 61 00 00");
  EXPECT_EQ(data_error([] { decode_image({}, "a"); }), "a: empty file, expected a PNG or JPEG");
}

TEST(ImageFile, DamagedBytesNeverDoMoreThanThrow) {
  const Bytes values = gradient(21, 14, 3);
  JpegOptions with_exif;
  with_exif.exif = testing::exif_bytes(6, false);
  const Bytes seeds[] = {png_bytes(21, 14, values), png_bytes(21, 14, values, {.interlaced = true}),
                         jpeg_bytes(21, 14, values, with_exif),
                         jpeg_bytes(21, 14, values, {.progressive = true})};
  for (const Bytes& seed : seeds) {
    const Philox random(1, RandomPurpose::test, seed.size());
    for (uint32_t trial = 0; trial < 3000; ++trial) {
      Bytes bytes = seed;
      const auto words = random.words(trial);
      bytes[3 + words[0] % (bytes.size() - 3)] = static_cast<uint8_t>(words[1]);
      if (trial % 2 == 0) bytes[3 + words[2] % (bytes.size() - 3)] = static_cast<uint8_t>(words[3]);
      try {
        const Image image = decode_image(bytes, "a");
        ASSERT_EQ(static_cast<int64_t>(image.pixels.size()), image.height * image.row());
      } catch (const Error& error) {
        ASSERT_EQ(error.kind(), ErrorKind::data) << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace pal
