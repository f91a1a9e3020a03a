// Pictures whose wrapping is bent around whole pixels, which are read with a warning, and what looks
// like them but is not.
#include <gtest/gtest.h>

#include <algorithm>

#include "data/pictures/exif.h"
#include "data/pictures/image_decoders.h"
#include "tests/data/image_writers.h"
#include "tests/data/test_pictures.h"

namespace pal {
namespace {

using testing::Bytes;
using testing::data_error;
using testing::jpeg_bytes;
using testing::JpegOptions;
using testing::png_bytes;
using testing::rough_values;

TEST(OddPictures, PngMustBeginWithItsHeader) {
  const Bytes whole = png_bytes(3, 2, rough_values(3, 2, 3));
  const std::pair<std::string, std::string> firsts[] = {{"CgBI", "CgBI"},
                                                        {"tEXt", "tEXt"},
                                                        {"IDAT", "IDAT"},
                                                        {"eXIf", "eXIf"},
                                                        {"a\nbc", "a\\x0abc"}};
  for (const auto& [type, text] : firsts) {
    Bytes chunk = {0, 0, 0, 4};
    testing::append(chunk, Bytes(type.begin(), type.end()));
    testing::append(chunk, {0x50, 0, 0x20, 6});
    const uLong check = ::crc32(0, &chunk[4], 8);
    testing::append(chunk, testing::big_endian32(static_cast<uint32_t>(check)));
    Bytes file = whole;
    file.insert(file.begin() + 8, chunk.begin(), chunk.end());
    const std::string wanted = "a:12: broken PNG: its first chunk is " + text + ", expected IHDR";
    EXPECT_EQ(data_error([&] { decode_image(file, "a"); }), wanted);
    EXPECT_EQ(data_error([&] { read_image_header(file, "a"); }), wanted);
  }
}

/// Where the segments before the first scan begin, and the scan's own header.
std::vector<size_t> segments_of(const Bytes& jpeg) {
  std::vector<size_t> begins = {2};
  while (jpeg[begins.back() + 1] != 0xda)
    begins.push_back(begins.back() + 2 + jpeg[begins.back() + 2] * size_t{256} +
                     jpeg[begins.back() + 3]);
  return begins;
}

std::vector<Bytes> jpegs_of_every_kind() {
  const Bytes values = rough_values(31, 22, 3);
  JpegOptions with_exif{.restart_mcus = 2};
  with_exif.exif = testing::exif_bytes(1, true);
  std::vector<Bytes> files;
  for (const JpegOptions& options :
       {JpegOptions{}, JpegOptions{.progressive = true}, JpegOptions{.separate_scans = true},
        JpegOptions{.stored = JCS_RGB}, with_exif})
    files.push_back(jpeg_bytes(31, 22, values, options));
  files.push_back(jpeg_bytes(31, 22, rough_values(31, 22, 1),
                             {.stored = JCS_GRAYSCALE, .given = JCS_GRAYSCALE}));
  return files;
}

TEST(OddPictures, StrayBytesBeforeTheFirstScanAreAWarning) {
  const std::vector<Bytes> strays = {
      {0},           {0x0d}, {1, 2, 3}, {0xff, 0x00}, {0, 0xff, 0xff, 0xff, 0, 7}, {0xda, 0, 0, 9},
      Bytes(5000, 0)};
  for (const Bytes& whole : jpegs_of_every_kind()) {
    const Image wanted = decode_image(whole, "a");
    EXPECT_TRUE(wanted.warnings.empty());
    for (const size_t at : segments_of(whole)) {
      if (at == 2) continue;  // there they hide what the file is
      for (const Bytes& stray : strays) {
        SCOPED_TRACE(fmt::format("{} bytes at {}", stray.size(), at));
        Bytes file = whole;
        file.insert(file.begin() + static_cast<long>(at), stray.begin(), stray.end());
        const Image image = decode_image(file, "a");
        EXPECT_EQ(image.pixels, wanted.pixels);
        EXPECT_EQ(image.warnings.size(), 1U);
        const Region all{0, 0, image.width, image.height};
        const Image part = decode_jpeg_region(file, "a", {}, all);
        EXPECT_EQ(part.pixels, wanted.pixels);
        EXPECT_EQ(part.warnings, image.warnings);
      }
      // Any number of FF may stand before a marker.
      Bytes filled = whole;
      filled.insert(filled.begin() + static_cast<long>(at), 9, 0xff);
      EXPECT_TRUE(decode_image(filled, "a").warnings.empty());
    }
  }
}

TEST(OddPictures, StrayBytesThatWereASegmentAreRefused) {
  for (const Bytes& whole : jpegs_of_every_kind()) {
    const std::vector<size_t> begins = segments_of(whole);
    for (size_t i = 0; i + 1 < begins.size(); ++i) {
      const uint8_t marker = whole[begins[i] + 1];
      if (i == 0) continue;
      SCOPED_TRACE(fmt::format("marker {:02x} of {}", marker, whole.size()));
      Bytes bent = whole;
      bent[begins[i]] = 0xfe;
      EXPECT_EQ(data_error([&] { decode_image(bent, "a"); }).rfind("a:", 0), 0U);
      bent = whole;
      bent[begins[i] + 1] = 0;
      EXPECT_EQ(data_error([&] { decode_image(bent, "a"); }).rfind("a:", 0), 0U);
      if (marker == 0xe1) continue;  // pixels do not need EXIF data
      std::fill(bent.begin() + static_cast<long>(begins[i]),
                bent.begin() + static_cast<long>(begins[i + 1]), 0);
      EXPECT_EQ(data_error([&] { decode_image(bent, "a"); }).rfind("a:", 0), 0U);
    }
  }
}

TEST(OddPictures, StrayBytesBetweenScansAreRefused) {
  const Bytes whole = jpeg_bytes(64, 48, rough_values(64, 48, 3), {.separate_scans = true});
  const Bytes scan = {0xff, 0xda};
  auto at = std::search(whole.begin(), whole.end(), scan.begin(), scan.end());
  at = std::search(at + 2, whole.end(), scan.begin(), scan.end());
  ASSERT_NE(at, whole.end());
  Bytes file = whole;
  file.insert(file.begin() + (at - whole.begin()), 3, 0x55);
  EXPECT_EQ(data_error([&] { decode_image(file, "a"); }).rfind("a:", 0), 0U);
}

TEST(OddPictures, ExifEntriesThatAreNotThereAreAWarning) {
  const Bytes values = rough_values(16, 8, 3);
  const Bytes turned =
      decode_image(jpeg_bytes(16, 8, values, {.exif = testing::exif_bytes(6, true)}), "a").pixels;
  for (const bool little : {false, true}) {
    // The count's low and its high byte.
    for (const size_t at : {size_t{14}, size_t{15}}) {
      Bytes claims = testing::exif_bytes(6, little);
      claims[at] = 9;
      const ExifOrientation orientation = exif_orientation(claims);
      EXPECT_EQ(orientation.value, 6);
      EXPECT_NE(orientation.fault.find("of which 1 are there"), std::string::npos)
          << orientation.fault;
      EXPECT_FALSE(is_upright(claims));
      // As Pillow does, the entries that are there count.
      const Image image = decode_image(jpeg_bytes(16, 8, values, {.exif = claims}), "a");
      EXPECT_EQ(image.pixels, turned);
      EXPECT_EQ(image.warnings.size(), 1U);
    }
    Bytes upright = testing::exif_bytes(1, little);
    EXPECT_TRUE(is_upright(upright));
    upright[little ? 15 : 14] = 0xff;
    EXPECT_EQ(exif_orientation(upright).value, 1);
    EXPECT_FALSE(is_upright(upright));
  }
}

TEST(OddPictures, NamesOfTheOtherFormatAreAWarning) {
  const Bytes png = png_bytes(8, 8, rough_values(8, 8, 3));
  const Bytes jpeg = jpeg_bytes(8, 8, rough_values(8, 8, 3));
  const auto warnings = [](const Bytes& bytes, const std::string& name) {
    return decode_image(bytes, name).warnings;
  };
  const std::vector<std::string> none;
  for (const std::string name : {"a.jpg", "x/n02105855_2933.JPEG", "s.tar:b.Jpeg"}) {
    EXPECT_EQ(warnings(png, name), std::vector<std::string>{"a PNG that is named as a JPEG"});
    EXPECT_EQ(warnings(jpeg, name), none);
  }
  for (const std::string name : {"a.png", "a.jpg.PNG"}) {
    const std::vector<std::string> wanted = {"a JPEG that is named as a PNG"};
    EXPECT_EQ(warnings(jpeg, name), wanted);
    EXPECT_EQ(decode_jpeg_region(jpeg, name, {}, {0, 0, 4, 4}).warnings, wanted);
    EXPECT_EQ(warnings(png, name), none);
  }
  for (const std::string name : {"a", "jpg", "a.gif", "a.png/b"}) {
    EXPECT_EQ(warnings(png, name), none);
    EXPECT_EQ(warnings(jpeg, name), none);
  }
}

}  // namespace
}  // namespace pal
