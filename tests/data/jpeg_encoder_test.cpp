#include "data/pictures/jpeg_encoder.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "runtime/error.h"

namespace pal {
namespace {

Image slope(int64_t width, int64_t height, int64_t channels) {
  Image image;
  image.width = width;
  image.height = height;
  image.channels = channels;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < channels; ++c)
        image.pixels.push_back(static_cast<uint8_t>(50 + 4 * x + 3 * y + 20 * c));
  return image;
}

/// The sampling factors of the first component, from the frame header.
int sampling(const std::vector<uint8_t>& bytes) {
  for (size_t i = 0; i + 11 < bytes.size(); ++i)
    if (bytes[i] == 0xff && bytes[i + 1] == 0xc0) return bytes[i + 11];
  return -1;
}

int worst_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.pixels.size(), b.pixels.size());
  int worst = 0;
  for (size_t i = 0; i < std::min(a.pixels.size(), b.pixels.size()); ++i)
    worst = std::max(worst, std::abs(a.pixels[i] - b.pixels[i]));
  return worst;
}

TEST(JpegEncoder, WhatItWritesDecodesToNearlyTheSame) {
  const std::pair<Subsampling, int> cases[] = {
      {Subsampling::s444, 0x11}, {Subsampling::s422, 0x21}, {Subsampling::s420, 0x22}};
  for (const auto& [subsampling, factors] : cases) {
    const Image image = slope(17, 9, 3);
    const auto bytes = encode_jpeg(image, {95, subsampling});
    EXPECT_EQ(sampling(bytes), factors);
    const Image again = decode_image(bytes, "x.jpg");
    EXPECT_TRUE(again.warnings.empty());
    EXPECT_EQ(again.width, 17);
    EXPECT_EQ(again.height, 9);
    // Quantisation at 95 leaves about two levels, shared chroma a slope's difference more.
    EXPECT_LE(worst_difference(image, again), 8);
    EXPECT_EQ(encode_jpeg(image, {95, subsampling}), bytes);
  }
}

TEST(JpegEncoder, GreyPicturesStayGrey) {
  const Image image = slope(5, 33, 1);
  const auto bytes = encode_jpeg(image, {100, Subsampling::s420});
  EXPECT_EQ(sampling(bytes), 0x11);
  const Image again = decode_image(bytes, "x.jpg");
  EXPECT_EQ(again.channels, 1);
  EXPECT_LE(worst_difference(image, again), 2);
}

TEST(JpegEncoder, LowerQualityIsSmaller) {
  Image noise = slope(64, 64, 3);
  uint32_t state = 1;
  for (uint8_t& value : noise.pixels)
    value = static_cast<uint8_t>((state = state * 69069 + 1) >> 24);
  EXPECT_LT(encode_jpeg(noise, {60, Subsampling::s420}).size(),
            encode_jpeg(noise, {95, Subsampling::s420}).size());
  EXPECT_LT(encode_jpeg(noise, {60, Subsampling::s420}).size(),
            encode_jpeg(noise, {60, Subsampling::s444}).size());
}

TEST(JpegEncoder, RefusesWhatIsNoPicture) {
  Image image = slope(4, 4, 3);
  EXPECT_THROW(encode_jpeg(image, {0, Subsampling::s444}), Error);
  EXPECT_THROW(encode_jpeg(image, {101, Subsampling::s444}), Error);
  image.pixels.pop_back();
  EXPECT_THROW(encode_jpeg(image, {90, Subsampling::s444}), Error);
  image = slope(4, 4, 2);
  EXPECT_THROW(encode_jpeg(image, {90, Subsampling::s444}), Error);
  image = slope(0, 4, 3);
  EXPECT_THROW(encode_jpeg(image, {90, Subsampling::s444}), Error);
  image = slope(65501, 1, 1);
  EXPECT_THROW(encode_jpeg(image, {90, Subsampling::s444}), Error);
}

}  // namespace
}  // namespace pal
