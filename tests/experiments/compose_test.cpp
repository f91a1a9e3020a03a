#include "experiments/datasets/compose.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "experiments/datasets/source_split.h"
#include "runtime/error.h"

namespace pal {
namespace {

Image plain(int64_t width, int64_t height, int64_t channels, uint8_t level) {
  Image image;
  image.width = width;
  image.height = height;
  image.channels = channels;
  image.pixels.assign(static_cast<size_t>(height * image.row()), level);
  return image;
}

/// Pixels of a composed picture that are not the photograph's.
int64_t covered(const Image& picture, uint8_t photo) {
  int64_t pixels = 0;
  for (size_t i = 0; i < picture.pixels.size(); i += 3) pixels += picture.pixels[i] != photo;
  return pixels;
}

TEST(Compose, PastesTheCutoutOnTheCrop) {
  const Image photo = plain(61, 40, 3, 50);
  const Cutout cutout{plain(30, 15, 3, 200), plain(30, 15, 1, 255)};
  std::set<int64_t> areas;
  for (uint64_t i = 0; i < 50; ++i) {
    Draws draws(Philox(7, RandomPurpose::sample, i));
    const Image picture = compose(photo, cutout, 32, draws);
    ASSERT_EQ(picture.width, 32);
    ASSERT_EQ(picture.height, 32);
    ASSERT_EQ(picture.channels, 3);
    for (const uint8_t value : picture.pixels) ASSERT_TRUE(value == 50 || value == 200);
    const int64_t area = covered(picture, 50);
    areas.insert(area);
    // 0.6 * 32 by half of it, a tenth of each side outside, and roundings; at most the whole.
    EXPECT_GE(area, 15 * 7);
    EXPECT_LE(area, 32 * 16);
  }
  EXPECT_GT(areas.size(), 20U);
}

TEST(Compose, HalfTransparentCutoutsLetThePhotographThrough) {
  const Image photo = plain(40, 40, 3, 100);
  // Level 200 at opacity 51 of 255, premultiplied.
  const Cutout cutout{plain(10, 10, 3, 40), plain(10, 10, 1, 51)};
  Draws draws(Philox(1, RandomPurpose::sample));
  const Image picture = compose(photo, cutout, 16, draws);
  EXPECT_EQ(std::ranges::max(picture.pixels), 120);
  EXPECT_EQ(std::ranges::min(picture.pixels), 100);
}

TEST(Compose, UsesAllSettings) {
  std::set<int> qualities;
  std::set<Subsampling> subsamplings;
  for (uint64_t i = 0; i < 500; ++i) {
    Draws draws(Philox(3, RandomPurpose::sample, i));
    const JpegSettings settings = random_settings(draws);
    qualities.insert(settings.quality);
    subsamplings.insert(settings.subsampling);
  }
  EXPECT_EQ(subsamplings.size(), 3U);
  EXPECT_EQ(*qualities.begin(), 60);
  EXPECT_EQ(*qualities.rbegin(), 95);
}

TEST(Compose, ShrinksOnly) {
  const Image photo = plain(61, 40, 3, 50);
  EXPECT_EQ(shrink_to(photo, 80).width, 61);
  const Image small = shrink_to(photo, 20);
  EXPECT_EQ(small.height, 20);
  EXPECT_EQ(small.width, 30);
}

TEST(SourceSplit, GivesAFifthToValidation) {
  std::vector<std::string> names;
  for (int i = 0; i < 11; ++i) names.push_back("n" + std::to_string(i));
  const SourceSplit split = split_sources(names, 5, "things");
  EXPECT_EQ(split.train.size(), 8U);
  EXPECT_EQ(split.val.size(), 3U);
  std::vector<std::string> all = split.train;
  all.insert(all.end(), split.val.begin(), split.val.end());
  std::ranges::sort(all);
  std::ranges::sort(names);
  EXPECT_EQ(all, names);
  std::ranges::reverse(names);
  EXPECT_EQ(split_sources(names, 5, "things").val, split.val);
  EXPECT_NE(split_sources(names, 6, "things").val, split.val);
  EXPECT_EQ(split_sources({"a", "b"}, 0, "things").val.size(), 1U);
  EXPECT_THROW(split_sources({"a"}, 0, "things"), Error);
}

}  // namespace
}  // namespace pal
