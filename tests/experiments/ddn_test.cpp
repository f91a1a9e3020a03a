// The least distance of a margin by decoupled direction and norm.
#include "experiments/attacks/ddn.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/error_text.h"
#include "tests/support/function_attacked.h"

namespace pal {
namespace {

using testing::attack_batch;
using testing::FunctionAttacked;
using testing::image_values;

/// The margin is how far an image lies within a disc round (0.5, 0.5), times 8.
FunctionAttacked disc(double radius) {
  return FunctionAttacked([=](std::span<const double> x, std::span<double> grad) {
    const double a = x[0] - 0.5, b = x[1] - 0.5, r = std::hypot(a, b);
    grad[0] = r > 0.0 ? -8.0 * a / r : 0.0;
    grad[1] = r > 0.0 ? -8.0 * b / r : 0.0;
    return 8.0 * (radius - r);
  });
}

double moved_by(const AttackResult& result, const AttackBatch& batch, size_t i) {
  return std::sqrt(image_distances(result.images, batch.images).squared[i]);
}

TEST(DdnTest, LeavesADiscByTheShortestWay) {
  FunctionAttacked model = disc(0.3);
  const AttackBatch batch = attack_batch({{0.6, 0.5}, {0.5, 0.25}, {0.45, 0.55}});
  for (const double kappa : {0.0, 0.4}) {
    const AttackResult result = attack_ddn(model, batch, {.kappa = kappa});
    const double least[] = {0.2, 0.05, 0.3 - std::hypot(0.05, 0.05)};
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_TRUE(result.records[i].reached);
      EXPECT_GE(moved_by(result, batch, i), (least[i] + kappa / 8.0) * (1.0 - 1e-5));
      EXPECT_LE(moved_by(result, batch, i), (least[i] + kappa / 8.0) * 1.02);
      EXPECT_NEAR(result.records[i].objective, moved_by(result, batch, i), 1e-12);
      const ImageScores said = model.scores(images_at(result.images, {static_cast<int64_t>(i)}));
      EXPECT_LT(said.scores[0] - said.scores[1], 0.0);
      EXPECT_LE(said.scores[0] - said.scores[1], -kappa);
    }
  }
}

TEST(DdnTest, AnImageFaresTheSameInAnyBatch) {
  FunctionAttacked model = disc(0.3);
  const std::vector<std::vector<double>> images = {{0.6, 0.5}, {0.5, 0.25}, {0.1, 0.9}};
  const AttackResult all = attack_ddn(model, attack_batch(images), {.steps = 60});
  for (size_t i = 0; i < images.size(); ++i) {
    const AttackResult one = attack_ddn(model, attack_batch({images[i]}), {.steps = 60});
    EXPECT_EQ(image_values(one.images, 0), image_values(all.images, static_cast<int64_t>(i)));
    EXPECT_EQ(one.records[0].objective, all.records[i].objective);
  }
}

TEST(DdnTest, WhatCannotBeReachedIsTold) {
  // The disc holds the whole box: the best is a corner, and that is not enough.
  FunctionAttacked model = disc(2.0);
  const AttackBatch batch = attack_batch({{0.6, 0.6}});
  const AttackResult result = attack_ddn(model, batch, {});
  EXPECT_FALSE(result.records[0].reached);
  EXPECT_TRUE(result.records[0].fell);
  EXPECT_TRUE(std::isinf(result.records[0].objective));
  for (const double value : image_values(result.images, 0)) {
    EXPECT_GE(value, 0.0);
    EXPECT_LE(value, 1.0);
  }
}

TEST(DdnTest, NoSlopeIsTold) {
  FunctionAttacked model = disc(0.3);
  const AttackBatch batch = attack_batch({{0.5, 0.5}});  // the middle
  const AttackResult result = attack_ddn(model, batch, {});
  EXPECT_EQ(result.records[0].gradient_start, 0.0);
  EXPECT_FALSE(result.records[0].reached);
  EXPECT_FALSE(result.records[0].fell);
  EXPECT_EQ(image_values(result.images, 0), image_values(batch.images, 0));
}

TEST(DdnTest, AnswersThatAreNoNumbersAreSurvivedAndTold) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const bool in_value : {true, false}) {
    // No answer farther out than 0.4, where the first steps lead, and none at all for the last one.
    FunctionAttacked model([=](std::span<const double> x, std::span<double> grad) {
      const bool bad = std::hypot(x[0] - 0.5, x[1] - 0.5) > 0.4;
      const double along = x[0] - 0.5;
      grad[0] = bad && !in_value ? nan : -8.0;
      grad[1] = bad && !in_value ? nan : 0.0;
      return bad && in_value ? nan : 8.0 * (0.3 - along);
    });
    const AttackBatch batch = attack_batch({{0.6, 0.5}, {0.0, 0.0}});
    const AttackResult result = attack_ddn(model, batch, {});
    EXPECT_TRUE(result.records[0].broken);
    EXPECT_TRUE(result.records[0].reached);
    EXPECT_NEAR(moved_by(result, batch, 0), 0.2, 0.004);
    EXPECT_TRUE(result.records[1].broken);
    EXPECT_FALSE(result.records[1].reached);
    EXPECT_TRUE(std::isfinite(moved_by(result, batch, 1)));
  }
}

TEST(DdnTest, AnInfiniteMarginIsRefused) {
  FunctionAttacked model = disc(0.3);
  EXPECT_EQ(testing::usage_error([&] {
              attack_ddn(model, attack_batch({{0.6, 0.5}}),
                         {.kappa = std::numeric_limits<double>::infinity()});
            }),
            "ddn: expected a finite kappa, got inf");
}

}  // namespace
}  // namespace pal
