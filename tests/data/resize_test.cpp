#include "data/pictures/resize.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/data/test_pictures.h"

namespace pal {
namespace {

using testing::Bytes;

ResizeAxis whole_axis(int64_t length, int64_t outputs) {
  return {0.0, static_cast<double>(length), 0, length, outputs, 0, outputs};
}

Bytes resized(const Image& source, const ResizeAxis& x, const ResizeAxis& y, int64_t left = 0,
              int64_t top = 0) {
  Bytes out(static_cast<size_t>(x.count * y.count * source.channels));
  resize(source, left, top, ResizeWeights(x), ResizeWeights(y), out);
  return out;
}

Image rough_image(int64_t width, int64_t height, int64_t channels) {
  Image image;
  image.width = width;
  image.height = height;
  image.channels = channels;
  image.pixels = testing::rough_values(width, height, channels);
  return image;
}

TEST(Resize, IsPillowsWithinOneLevel) {
  int64_t values = 0;
  int64_t differing = 0;
  for (const auto& item : testing::pillow_cases()) {
    if (item.kind != "resize") continue;
    SCOPED_TRACE(item.wanted);
    const Image source = read_image(item.source);
    const Image wanted = read_image(item.wanted);
    ASSERT_EQ(item.numbers.size(), 6U);
    ResizeAxis x = whole_axis(source.width, wanted.width);
    ResizeAxis y = whole_axis(source.height, wanted.height);
    x.from = item.numbers[2];
    y.from = item.numbers[3];
    x.to = item.numbers[4];
    y.to = item.numbers[5];
    const auto distance = testing::distance(resized(source, x, y), wanted.pixels);
    EXPECT_LE(distance.worst, 1);
    values += static_cast<int64_t>(wanted.pixels.size());
    differing += distance.differing;
  }
  EXPECT_GT(values, 30000);
  // Pillow rounds to levels between its passes, so they cannot all agree.
  EXPECT_LT(differing, values / 5);
  RecordProperty("differing_per_mille", static_cast<int>(1000 * differing / values));
}

TEST(Resize, WeightsSumToOneAndGrowWithTheScale) {
  for (const auto& [length, outputs] :
       {std::pair<int64_t, int64_t>{375, 224}, {100, 224}, {1, 5}, {5, 1}, {7, 7}, {60000, 3}}) {
    const ResizeWeights weights(whole_axis(length, outputs));
    EXPECT_EQ(weights.begin(), 0);
    EXPECT_EQ(weights.end(), length);
    for (int64_t i = 0; i < weights.count(); ++i) {
      const uint32_t* first = weights.weights(i);
      EXPECT_EQ(std::accumulate(first, first + weights.taps(), 0U), 1U << ResizeWeights::kBits);
    }
  }
  // Halving: a triangle over four pixels, cut at the border: (3 3 1)/7, (1 3 3 1)/8.
  const ResizeWeights half(whole_axis(8, 4));
  EXPECT_EQ(half.source(1), 1);
  EXPECT_EQ(half.weights(1)[0], 65536U / 8);
  EXPECT_EQ(half.weights(1)[1], 3 * 65536U / 8);
  EXPECT_EQ(half.source(0), 0);
  EXPECT_NEAR(half.weights(0)[0], 65536 * 3 / 7, 1);
  EXPECT_NEAR(half.weights(0)[2], 65536 / 7, 1);
}

TEST(Resize, KeepsSizeAndFlatPicturesExactly) {
  for (const int64_t channels : {1, 3}) {
    const Image image = rough_image(37, 23, channels);
    EXPECT_EQ(resized(image, whole_axis(37, 37), whole_axis(23, 23)), image.pixels);
    for (const uint8_t level : {0, 1, 127, 254, 255}) {
      Image flat = image;
      std::fill(flat.pixels.begin(), flat.pixels.end(), level);
      for (const int64_t outputs : {1, 5, 23, 90})
        EXPECT_EQ(resized(flat, whole_axis(37, outputs), whole_axis(23, outputs)),
                  Bytes(static_cast<size_t>(outputs * outputs * channels), level));
    }
  }
}

TEST(Resize, WindowOfAPartIsThatOfTheWhole) {
  const Image image = rough_image(83, 61, 3);
  const Philox random(5, RandomPurpose::test);
  for (uint32_t trial = 0; trial < 60; ++trial) {
    const auto words = random.words(2 * trial);
    const auto more = random.words(2 * trial + 1);
    const int64_t width = 1 + words[0] % 120;
    const int64_t height = 1 + words[1] % 120;
    ResizeAxis x = whole_axis(83, width);
    ResizeAxis y = whole_axis(61, height);
    Image all;
    all.width = width;
    all.height = height;
    all.channels = 3;
    all.pixels = resized(image, x, y);
    x.first = words[2] % width;
    x.count = 1 + more[0] % (width - x.first);
    y.first = words[3] % height;
    y.count = 1 + more[1] % (height - y.first);
    const ResizeWeights columns(x);
    const ResizeWeights rows(y);
    const Region needed = {columns.begin(), rows.begin(), columns.end() - columns.begin(),
                           rows.end() - rows.begin()};
    const Image part = testing::cut_out(image, needed);
    EXPECT_EQ(resized(part, x, y, needed.x, needed.y),
              testing::cut_out(all, {x.first, y.first, x.count, y.count}).pixels)
        << trial;
  }
}

TEST(Resize, RefusesWhatDoesNotFit) {
  ResizeAxis axis = whole_axis(10, 4);
  axis.to = 10.5;
  EXPECT_THROW(ResizeWeights{axis}, Error);
  axis = whole_axis(10, 4);
  axis.from = axis.to;
  EXPECT_THROW(ResizeWeights{axis}, Error);
  axis = whole_axis(10, 4);
  axis.first = 1;
  EXPECT_THROW(ResizeWeights{axis}, Error);
  const ResizeWeights weights(whole_axis(10, 4));
  const Image image = rough_image(10, 10, 3);
  Bytes out(4 * 4 * 3);
  EXPECT_NO_THROW(resize(image, 0, 0, weights, weights, out));
  EXPECT_THROW(resize(image, 1, 0, weights, weights, out), Error);
  EXPECT_THROW(resize(image, 0, -1, weights, weights, out), Error);
  out.pop_back();
  EXPECT_THROW(resize(image, 0, 0, weights, weights, out), Error);
}

}  // namespace
}  // namespace pal
