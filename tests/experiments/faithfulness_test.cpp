#include "experiments/explain/faithfulness.h"

#include <gtest/gtest.h>

#include <cmath>

#include "experiments/explain/color_map.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

TEST(Spearman, RanksWithTies) {
  EXPECT_DOUBLE_EQ(spearman({1, 2, 3}, {10, 20, 400}), 1.0);
  EXPECT_DOUBLE_EQ(spearman({1, 2, 3}, {3, 2, 1}), -1.0);
  // Pearson's correlation of the mean ranks 1, 2.5, 2.5, 4, 5 and 2, 1, 3.5, 3.5, 5.
  EXPECT_NEAR(spearman({1, 2, 2, 4, 5}, {2, 1, 3, 3, 5}), 0.7631578947368421, 1e-12);
  EXPECT_EQ(spearman({1, 1, 1}, {1, 2, 3}), 0.0);
  testing::expect_error(ErrorKind::numerics, "not finite", [] { spearman({1, NAN}, {1, 2}); });
  testing::expect_error(ErrorKind::usage, "lists of 2 and 3", [] { spearman({1, 2}, {1, 2, 3}); });
}

TEST(CellOrder, TheHighestFirstAndEqualOnesByPlace) {
  EXPECT_EQ(highest_first({0.5, 2.0, 0.5, -1.0}), (std::vector<int64_t>{1, 0, 2, 3}));
}

TEST(ColorMap, EndsAndMiddle) {
  EXPECT_EQ(sequential_color(0.0), (Rgb{68, 1, 84}));
  EXPECT_EQ(sequential_color(2.0), (Rgb{253, 231, 37}));
  EXPECT_EQ(diverging_color(0.0), (Rgb{247, 247, 247}));
  EXPECT_GT(diverging_color(1.0)[0], diverging_color(1.0)[2]);
  EXPECT_LT(diverging_color(-1.0)[0], diverging_color(-1.0)[2]);
  const ColorScale both = scale_of({{-1.0, 3.0}, {0.5}}, true);
  EXPECT_EQ(both.low, -3.0);
  EXPECT_EQ(both.high, 3.0);
  EXPECT_EQ(both.color(0.0), diverging_color(0.0));
  // A map without contrast has the middle colour everywhere.
  EXPECT_EQ(scale_of({{2.0, 2.0}}, false).color(2.0), sequential_color(0.5));
}

TEST(ColorMap, OverlaysAreBilinearBetweenCentres) {
  const Image black{4, 4, 1, std::vector<uint8_t>(16), {}};
  const Image out = overlay(black, std::vector<double>{-1, 1, -1, 1}, 2, {-1.0, 1.0, true}, 2);
  EXPECT_EQ(out.width, 8);
  EXPECT_EQ(out.channels, 3);
  const auto red = [&](int64_t x) { return out.pixels[static_cast<size_t>(3 * (8 * 4 + x))]; };
  EXPECT_EQ(red(0), red(1));
  EXPECT_LT(red(1), red(3));
  EXPECT_EQ(red(6), red(7));
  testing::expect_error(ErrorKind::usage, "3 values for 2 x 2", [&] {
    overlay(black, std::vector<double>{1, 2, 3}, 2, {}, 1);
  });
}

}  // namespace
}  // namespace pal
