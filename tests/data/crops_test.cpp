#include "data/pictures/crops.h"

#include <gtest/gtest.h>

#include <cmath>

namespace pal {
namespace {

Philox stream(uint64_t number) { return Philox(9, RandomPurpose::augment, number); }

TEST(Crops, ResizedExtentsAreTorchvisions) {
  const auto extent = [](int64_t width, int64_t height, int64_t shorter) {
    const Extent resized = resized_extent({width, height}, shorter);
    return std::pair(resized.width, resized.height);
  };
  EXPECT_EQ(extent(500, 375, 256), std::pair(int64_t{341}, int64_t{256}));
  EXPECT_EQ(extent(375, 500, 256), std::pair(int64_t{256}, int64_t{341}));
  EXPECT_EQ(extent(64, 64, 32), std::pair(int64_t{32}, int64_t{32}));
  EXPECT_EQ(extent(1, 100'000'000, 256), std::pair(int64_t{256}, int64_t{25'600'000'000}));
}

TEST(Crops, OffsetsRoundHalvesToEven) {
  EXPECT_EQ(center_offset(256, 224), 16);
  EXPECT_EQ(center_offset(341, 224), 58);  // 58.5
  EXPECT_EQ(center_offset(343, 224), 60);  // 59.5
  EXPECT_EQ(center_offset(225, 224), 0);
  EXPECT_EQ(center_offset(224, 224), 0);
}

TEST(Crops, TenComeInTorchvisionsOrder) {
  const auto crops = ten_crops({341, 256}, 224);
  const int64_t expected[10][2] = {{0, 0},   {117, 0}, {0, 32},   {117, 32}, {58, 16},
                                   {117, 0}, {0, 0},   {117, 32}, {0, 32},   {59, 16}};
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(crops[i].x, expected[i][0]) << i;
    EXPECT_EQ(crops[i].y, expected[i][1]) << i;
    EXPECT_EQ(crops[i].mirrored, i >= 5) << i;
  }
}

TEST(Crops, RandomOnesFollowTheFormula) {
  const TransformSpec spec;
  const Extent picture{500, 375};
  for (uint64_t number = 0; number < 500; ++number) {
    // The first try that fits, written out once more.
    Region expected;
    for (uint32_t k = 1; k <= 10 && expected.width == 0; ++k) {
      const auto words = stream(number).words(k);
      const double area = 500.0 * 375.0 * (0.08 + 0.92 * words[0] / 4294967296.0);
      const double log_ratio = std::log(4.0 / 3.0) * (2.0 * words[1] / 4294967296.0 - 1.0);
      const double width = std::nearbyint(std::sqrt(area * std::exp(log_ratio)));
      const double height = std::nearbyint(std::sqrt(area / std::exp(log_ratio)));
      if (width > 500 || height > 375) continue;
      expected = {static_cast<int64_t>((501 - width) * words[3] / 4294967296.0),
                  static_cast<int64_t>((376 - height) * words[2] / 4294967296.0),
                  static_cast<int64_t>(width), static_cast<int64_t>(height)};
    }
    const Region region = random_resized_crop(picture, spec, stream(number));
    if (expected.width == 0) expected = {0, 0, 500, 375};
    EXPECT_EQ(region.width, expected.width) << number;
    EXPECT_EQ(region.height, expected.height) << number;
    EXPECT_EQ(region.x, expected.x) << number;
    EXPECT_EQ(region.y, expected.y) << number;
  }
}

TEST(Crops, RandomOnesCoverThePictureEvenly) {
  TransformSpec spec;
  spec.scale_max = 0.3;
  double area = 0.0;
  double log_ratio = 0.0;
  bool edges[4] = {};
  constexpr int kTrials = 4000;
  for (uint64_t number = 0; number < kTrials; ++number) {
    const Region r = random_resized_crop({40, 40}, spec, stream(number));
    ASSERT_GE(std::min(r.x, r.y), 0);
    ASSERT_LE(std::max(r.x + r.width, r.y + r.height), 40);
    area += static_cast<double>(r.width * r.height) / 1600.0 / kTrials;
    log_ratio += std::log(static_cast<double>(r.width) / static_cast<double>(r.height)) / kTrials;
    edges[0] |= r.x == 0;
    edges[1] |= r.y == 0;
    edges[2] |= r.x + r.width == 40;
    edges[3] |= r.y + r.height == 40;
  }
  // Five standard errors: of a uniform share over 0.22, of a uniform log over 0.58.
  EXPECT_NEAR(area, 0.19, 5 * 0.22 / std::sqrt(12.0 * kTrials));
  EXPECT_NEAR(log_ratio, 0.0, 5 * 0.58 / std::sqrt(12.0 * kTrials));
  for (const bool edge : edges) EXPECT_TRUE(edge);
}

TEST(Crops, RandomOnesFallBackToTheMiddle) {
  TransformSpec spec;
  spec.scale_min = spec.scale_max = 1.0;
  const auto region = [&](int64_t width, int64_t height) {
    const Region r = random_resized_crop({width, height}, spec, stream(0));
    return std::array<int64_t, 4>{r.x, r.y, r.width, r.height};
  };
  EXPECT_EQ(region(600, 2), (std::array<int64_t, 4>{298, 0, 3, 2}));  // round(2.67)
  EXPECT_EQ(region(2, 601), (std::array<int64_t, 4>{0, 299, 2, 3}));
  EXPECT_EQ(region(1, 1), (std::array<int64_t, 4>{0, 0, 1, 1}));
  spec.ratio_min = spec.ratio_max = 3.0;
  EXPECT_EQ(region(1, 50), (std::array<int64_t, 4>{0, 24, 1, 1}));  // a third of a row is one
}

}  // namespace
}  // namespace pal
