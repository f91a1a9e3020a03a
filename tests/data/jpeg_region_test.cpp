#include <gtest/gtest.h>

#include "tests/data/image_writers.h"
#include "tests/data/test_pictures.h"

namespace pal {
namespace {

using testing::Bytes;
using testing::data_error;
using testing::jpeg_bytes;
using testing::JpegOptions;

struct Kind {
  const char* name;
  JpegOptions options;
};

std::vector<Kind> kinds() {
  std::vector<Kind> kinds;
  const std::pair<int, int> samplings[] = {{1, 1}, {2, 1}, {2, 2}, {4, 1}, {1, 2}, {2, 4}};
  for (const auto& [across, down] : samplings) {
    const JpegOptions plain{.across = across, .down = down};
    JpegOptions progressive = plain;
    progressive.progressive = true;
    JpegOptions separate = plain;
    separate.separate_scans = true;
    JpegOptions restarts = plain;
    restarts.restart_mcus = 3;
    JpegOptions coarse = plain;
    coarse.quality = 20;
    kinds.insert(kinds.end(), {{"plain", plain},
                               {"progressive", progressive},
                               {"separate scans", separate},
                               {"restart markers", restarts},
                               {"coarse", coarse}});
  }
  const JpegOptions grey{.stored = JCS_GRAYSCALE, .given = JCS_GRAYSCALE};
  JpegOptions wide_grey = grey;
  wide_grey.across = wide_grey.down = 2;
  JpegOptions progressive_grey = grey;
  progressive_grey.progressive = true;
  kinds.insert(kinds.end(), {{"grey", grey},
                             {"grey in larger MCUs", wide_grey},
                             {"progressive grey", progressive_grey},
                             {"RGB", {.stored = JCS_RGB}},
                             {"CMYK", {.stored = JCS_CMYK, .given = JCS_CMYK}},
                             {"YCCK", {.stored = JCS_YCCK, .given = JCS_CMYK}}});
  return kinds;
}

int64_t given_channels(const JpegOptions& options) {
  return options.given == JCS_GRAYSCALE ? 1 : options.given == JCS_CMYK ? 4 : 3;
}

Region random_region(const Image& image, std::array<uint32_t, 4> words) {
  Region region;
  region.x = words[0] % image.width;
  region.y = words[1] % image.height;
  region.width = 1 + words[2] % (image.width - region.x);
  region.height = 1 + words[3] % (image.height - region.y);
  return region;
}

TEST(JpegRegion, EqualsThatOfTheFullDecode) {
  const std::pair<int, int> sizes[] = {{1, 1},   {2, 600}, {600, 2},  {23, 19},
                                       {16, 16}, {97, 75}, {150, 131}};
  for (const Kind& kind : kinds()) {
    for (const auto& [width, height] : sizes) {
      const Bytes file = jpeg_bytes(
          width, height, testing::rough_values(width, height, given_channels(kind.options)),
          kind.options);
      for (const int shrink : {1, 2, 4, 8}) {
        SCOPED_TRACE(fmt::format("{} {}x{}, {}x{} shrunk by {}", kind.name, kind.options.across,
                                 kind.options.down, width, height, shrink));
        const Region all = {0, 0, (width + shrink - 1) / shrink, (height + shrink - 1) / shrink};
        const Image whole = decode_jpeg_region(file, "a", {}, all, shrink);
        if (shrink == 1) {
          ASSERT_EQ(whole.pixels, decode_image(file, "a").pixels);
        }
        const Philox random(1, RandomPurpose::test, static_cast<uint64_t>(width));
        for (uint32_t trial = 0; trial < 12; ++trial) {
          const Region region = random_region(whole, random.words(trial));
          const Image part = decode_jpeg_region(file, "a", {}, region, shrink);
          ASSERT_EQ(part.channels, whole.channels);
          ASSERT_EQ(part.pixels, testing::cut_out(whole, region).pixels)
              << region.width << 'x' << region.height << " at " << region.x << ", " << region.y;
          ASSERT_TRUE(part.warnings.empty());
        }
      }
    }
  }
}

TEST(JpegRegion, EqualsTheFullDecodeWhereDetailIsGuessed) {
  // Of a progressive file's scans only the first, with an end marker: libjpeg smooths the blocks.
  Bytes file = jpeg_bytes(97, 75, testing::rough_values(97, 75, 3), {.progressive = true});
  const Bytes scan = {0xff, 0xda};
  auto second = std::search(file.begin(), file.end(), scan.begin(), scan.end());
  second = std::search(second + 2, file.end(), scan.begin(), scan.end());
  ASSERT_NE(second, file.end());
  file.erase(second, file.end());
  testing::append(file, {0xff, 0xd9});
  const Image whole = decode_image(file, "a");
  const Philox random(2, RandomPurpose::test);
  for (uint32_t trial = 0; trial < 12; ++trial) {
    const Region region = random_region(whole, random.words(trial));
    EXPECT_EQ(decode_jpeg_region(file, "a", {}, region).pixels,
              testing::cut_out(whole, region).pixels);
  }
}

TEST(JpegRegion, ShrinksToMeansOfPixels) {
  Bytes values;
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 48; ++x) values.push_back(static_cast<uint8_t>(20 + 4 * x + y));
  const Bytes file = jpeg_bytes(48, 32, values, {.stored = JCS_GRAYSCALE, .given = JCS_GRAYSCALE});
  const Image half = decode_jpeg_region(file, "a", {}, {0, 0, 24, 16}, 2);
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 24; ++x)
      EXPECT_NEAR(half.pixels[static_cast<size_t>(y * 24 + x)],
                  20 + 4 * (2 * x + 0.5) + 2 * y + 0.5, 3.0);
}

TEST(JpegRegion, RefusesWhatLiesOutside) {
  const Bytes file = jpeg_bytes(20, 10, testing::rough_values(20, 10, 3));
  for (const Region& region : {Region{0, 0, 21, 10}, Region{1, 0, 20, 10}, Region{0, 0, 0, 10},
                               Region{0, 5, 20, 6}, Region{-1, 0, 5, 5}}) {
    try {
      decode_jpeg_region(file, "a", {}, region);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
    }
  }
  EXPECT_THROW(decode_jpeg_region(file, "a", {}, {0, 0, 11, 5}, 2), Error);
}

TEST(JpegRegion, NeverTakesACutFileForWhole) {
  for (const JpegOptions& options :
       {JpegOptions{}, JpegOptions{.progressive = true}, JpegOptions{.separate_scans = true}}) {
    const Bytes file = jpeg_bytes(64, 48, testing::rough_values(64, 48, 3), options);
    const Region region = {3, 2, 20, 9};  // the top, which a cut file may well hold
    const Image wanted = testing::cut_out(decode_image(file, "a"), region);
    for (size_t size = 3; size < file.size(); ++size) {
      const auto cut = std::span(file).first(size);
      const std::string message = data_error([&] { decode_image(cut, "a"); });
      Image part;
      EXPECT_EQ(data_error([&] { part = decode_jpeg_region(cut, "a", {}, region); }), message);
      if (message != "no error") continue;
      EXPECT_EQ(part.pixels, wanted.pixels);
      EXPECT_FALSE(part.warnings.empty());
    }
  }
}

TEST(JpegRegion, SeesDamageUpToTheRegionOnly) {
  // Flips in the middle of the file make some codes impossible.
  const Bytes file = jpeg_bytes(96, 96, testing::rough_values(96, 96, 3));
  const Image whole = decode_image(file, "a");
  int missed_above = 0;
  int found_below = 0;
  for (size_t at = file.size() / 2; at < file.size() / 2 + 200; ++at) {
    Bytes damaged = file;
    damaged[at] = 0xff;
    damaged[at + 1] = 0xd0;  // a restart marker where none belongs
    const Region above = {0, 0, 96, 8};
    EXPECT_EQ(decode_jpeg_region(damaged, "a", {}, above).pixels,
              testing::cut_out(whole, above).pixels);
    missed_above += data_error([&] { decode_image(damaged, "a"); }) == "no error" ? 1 : 0;
    found_below += data_error([&] {
                     decode_jpeg_region(damaged, "a", {}, {40, 88, 8, 8});
                   }).rfind("a:", 0) == 0
                       ? 1
                       : 0;
  }
  EXPECT_EQ(missed_above, 0);
  EXPECT_EQ(found_below, 200);
}

TEST(JpegRegion, DamagedBytesNeverDoMoreThanThrow) {
  const Bytes values = testing::rough_values(53, 41, 3);
  for (const Bytes& seed :
       {jpeg_bytes(53, 41, values, {.across = 2, .down = 2}),
        jpeg_bytes(53, 41, values, {.progressive = true, .across = 1, .down = 2}),
        jpeg_bytes(53, 41, values, {.separate_scans = true})}) {
    const Philox random(4, RandomPurpose::test, seed.size());
    for (uint32_t trial = 0; trial < 3000; ++trial) {
      Bytes bytes = seed;
      const auto words = random.words(2 * trial);
      // Most headers lie in the first 700 bytes.
      const size_t end =
          trial % 2 == 0 ? std::min<size_t>(700, bytes.size() - 2) : bytes.size() - 2;
      bytes[3 + words[0] % (end - 3)] = static_cast<uint8_t>(words[1]);
      if (trial % 3 == 0) bytes[3 + words[2] % (end - 3)] = static_cast<uint8_t>(words[3]);
      try {
        const ImageHeader header = read_image_header(bytes, "a", {.max_pixels = 1 << 22});
        const int shrink = 1 << trial % 4;
        Image size;
        size.width = (header.width + shrink - 1) / shrink;
        size.height = (header.height + shrink - 1) / shrink;
        const Region region = random_region(size, random.words(2 * trial + 1));
        const Image part = decode_jpeg_region(bytes, "a", {.max_pixels = 1 << 22}, region, shrink);
        ASSERT_EQ(static_cast<int64_t>(part.pixels.size()), region.height * part.row());
      } catch (const Error& error) {
        ASSERT_EQ(error.kind(), ErrorKind::data) << error.what();
      }
    }
  }
}

TEST(ImageHeader, SaysSizeChannelsAndFormat) {
  JpegOptions turned;
  turned.exif = testing::exif_bytes(6, true);
  const Bytes values = testing::rough_values(20, 10, 3);
  ImageHeader header = read_image_header(jpeg_bytes(20, 10, values, turned), "a");
  EXPECT_EQ(header.format, ImageFormat::jpeg);
  EXPECT_EQ(header.width, 20);
  EXPECT_EQ(header.height, 10);
  EXPECT_EQ(header.channels, 3);
  EXPECT_FALSE(header.upright);
  header = read_image_header(testing::png_bytes(20, 10, values), "a");
  EXPECT_EQ(header.format, ImageFormat::png);
  EXPECT_EQ(header.width, 20);
  EXPECT_EQ(header.height, 10);
  EXPECT_EQ(header.channels, 3);
  EXPECT_TRUE(header.upright);
  const Bytes grey(20 * 10 * 2);
  EXPECT_EQ(read_image_header(
                testing::png_bytes(20, 10, grey, {.colour = PNG_COLOR_TYPE_GRAY_ALPHA}), "a")
                .channels,
            1);
  EXPECT_EQ(read_image_header(
                jpeg_bytes(20, 10, grey, {.stored = JCS_GRAYSCALE, .given = JCS_GRAYSCALE}), "a")
                .channels,
            1);
  EXPECT_NE(data_error([] {
              read_image_header(Bytes{1, 2, 3}, "a");
            }).find("neither PNG nor JPEG"),
            std::string::npos);
}

}  // namespace
}  // namespace pal
