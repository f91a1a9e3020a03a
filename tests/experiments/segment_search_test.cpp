// The nearest image of a margin on the way from an original to a changed one, and what else attacks
// share.
#include "experiments/attacks/segment_search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "tests/support/function_attacked.h"

namespace pal {
namespace {

using testing::attack_batch;
using testing::FunctionAttacked;
using testing::image_values;

/// A margin of the first value alone.
FunctionAttacked of_first_value(std::function<double(double)> margin) {
  return FunctionAttacked([margin](std::span<const double> x, std::span<double> grad) {
    std::ranges::fill(grad, 0.0);
    return margin(x[0]);
  });
}

SegmentResult searched(FunctionAttacked& model, double from, double to, double kappa) {
  const AttackBatch batch = attack_batch({{from, 0.25}});
  return search_segments(model, batch, attack_batch({{to, 0.25}}).images, {.kappa = kappa});
}

TEST(SegmentSearchTest, FindsTheBorderOfALine) {
  // The margin falls by 10 from 0 to 1 and is -0.5 at 0.35.
  FunctionAttacked model = of_first_value([](double x) { return 3.0 - 10.0 * x; });
  const SegmentResult result = searched(model, 0.0, 0.8, 0.5);
  ASSERT_TRUE(result.found[0]);
  EXPECT_NEAR(image_values(result.images, 0)[0], 0.35, 0.8 / 65536 + 1e-6);
  EXPECT_GE(image_values(result.images, 0)[0], 0.35);
  EXPECT_FLOAT_EQ(static_cast<float>(image_values(result.images, 0)[1]), 0.25F);
}

TEST(SegmentSearchTest, LooksALittleBeyond) {
  FunctionAttacked model = of_first_value([](double x) { return 3.0 - 10.0 * x; });
  // 0.35 is 1.17 times the way; 1.4 times is too far.
  EXPECT_NEAR(image_values(searched(model, 0.0, 0.3, 0.5).images, 0)[0], 0.35, 1e-5);
  const SegmentResult far = searched(model, 0.0, 0.25, 0.5);
  EXPECT_FALSE(far.found[0]);
  EXPECT_FLOAT_EQ(static_cast<float>(image_values(far.images, 0)[0]), 0.25F);
  EXPECT_EQ(far.fraction[0], 1.0);
  // Nor does it leave [0, 1].
  EXPECT_FALSE(searched(model, 1.0, 0.9, 8.0).found[0]);
}

TEST(SegmentSearchTest, WhatIsFoundHasItsMarginHoweverItRuns) {
  // Margins that cross -kappa many times, and one that is reached at the original too.
  for (const double waves : {1.0, 3.0, 7.3, 20.0})
    for (const double kappa : {0.0, 0.2, 0.9}) {
      FunctionAttacked model = of_first_value(
          [waves](double x) { return std::cos(2.0 * std::numbers::pi * waves * x + 0.4); });
      for (int i = 0; i < 20; ++i) {
        const double to = 0.05 * (i + 1);
        const SegmentResult result = searched(model, 0.0, to, kappa);
        if (!result.found[0]) continue;
        const ImageScores said = model.scores(result.images);
        EXPECT_LT(said.scores[0] - said.scores[1], 0.0);
        EXPECT_LE(said.scores[0] - said.scores[1], -kappa) << waves << " waves to " << to;
      }
    }
}

TEST(SegmentSearchTest, ImagesAreSearchedAloneAndAnswersThatAreNoNumbersAreNotFound) {
  FunctionAttacked model = of_first_value(
      [](double x) { return x > 0.6 ? std::numeric_limits<double>::quiet_NaN() : 3.0 - 10.0 * x; });
  const AttackBatch batch = attack_batch({{0.0}, {0.1}, {0.0}});
  const Tensor changed = attack_batch({{0.5}, {0.7}, {0.1}}).images;
  const SegmentResult all = search_segments(model, batch, changed, {});
  EXPECT_EQ(all.found, (std::vector<bool>{true, false, false}));
  for (int64_t i = 0; i < 3; ++i) {
    const SegmentResult one = search_segments(
        model, {images_at(batch.images, {i}), {batch.goals[0]}}, images_at(changed, {i}), {});
    EXPECT_EQ(image_values(one.images, 0), image_values(all.images, i));
  }
}

TEST(BestImagesTest, AGoalIsWorthMoreThanALowObjective) {
  const AttackBatch batch = attack_batch({{0.5}});
  BestImages best(batch);
  const auto offer = [&](double value, double objective, bool reached) -> bool {
    return best.offer(attack_batch({{value}}).images, {0}, {objective}, {reached})[0];
  };
  EXPECT_TRUE(offer(0.25, 3.0, false));
  EXPECT_FALSE(offer(0.75, 4.0, true));  // not lower, yet taken
  EXPECT_EQ(image_values(best.images(), 0)[0], 0.75);
  EXPECT_TRUE(offer(0.125, 1.0, false));  // lower, not taken
  EXPECT_EQ(image_values(best.images(), 0)[0], 0.75);
  EXPECT_FALSE(offer(0.375, 3.5, true));
  EXPECT_EQ(image_values(best.images(), 0)[0], 0.375);
  EXPECT_FALSE(offer(0.5, std::numeric_limits<double>::quiet_NaN(), true));
  EXPECT_EQ(best.objective(0), 3.5);
  EXPECT_TRUE(best.reached(0));
  // The batch itself is untouched.
  EXPECT_EQ(image_values(batch.images, 0)[0], 0.5);
}

TEST(AttackBatchTest, DistancesAndBrokenGradients) {
  const Tensor a = attack_batch({{0.0, 3.0}, {1.0, 1.0}}).images;
  const Tensor b = attack_batch({{4.0, 0.0}, {1.0, 1.0}}).images;
  const ImageDistances distances = image_distances(a, b);
  EXPECT_EQ(distances.squared, (std::vector<double>{25.0, 0.0}));
  EXPECT_EQ(distances.largest, (std::vector<double>{4.0, 0.0}));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Tensor gradient = attack_batch({{1.0, nan}, {1.0, 2.0}}).images;
  clear_broken(gradient, image_distances(gradient).squared);
  EXPECT_EQ(image_values(gradient, 0), (std::vector<double>{0.0, 0.0}));
  EXPECT_EQ(image_values(gradient, 1), (std::vector<double>{1.0, 2.0}));
}

}  // namespace
}  // namespace pal
