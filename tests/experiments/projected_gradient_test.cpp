// Attacks within a ball: APGD, the one step and the squares.
#include "experiments/attacks/projected_gradient.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "experiments/attacks/square.h"
#include "tests/support/function_attacked.h"
#include "tests/support/linear_attacked.h"

namespace pal {
namespace {

using testing::attack_batch;
using testing::FunctionAttacked;
using testing::image_values;
using testing::LinearAttacked;

constexpr size_t kBallWidth = 48;

/// Images with values at 0, at 1 and between.
std::vector<std::vector<double>> ball_images(int count) {
  std::vector<std::vector<double>> images;
  for (int i = 0; i < count; ++i) {
    std::vector<double> image(kBallWidth);
    for (size_t k = 0; k < kBallWidth; ++k) {
      const double wave = 0.5 + 0.8 * std::sin(1.3 * static_cast<double>(k) + 0.9 * i);
      image[k] = std::clamp(wave, 0.0, 1.0);
    }
    images.push_back(image);
  }
  return images;
}

/// A margin with many valleys: a line, waves and a constant that differs with the image's first
/// value.
FunctionAttacked wavy(double lift, double frequency = 30.0) {
  return FunctionAttacked([=](std::span<const double> x, std::span<double> grad) {
    double margin = lift + x[0];
    for (size_t k = 0; k < x.size(); ++k) {
      const double w = std::cos(0.7 * static_cast<double>(k));
      margin += 0.3 * w * x[k] + 0.05 * std::sin(frequency * x[k]);
      grad[k] = 0.3 * w + 0.05 * frequency * std::cos(frequency * x[k]);
    }
    grad[0] += 1.0;
    return margin;
  });
}

void expect_in_ball(const AttackResult& result, const AttackBatch& batch, AttackNorm norm,
                    double eps, const std::string& what) {
  const ImageDistances moved = image_distances(result.images, batch.images);
  for (int64_t i = 0; i < batch.count(); ++i) {
    const auto at = static_cast<size_t>(i);
    const double size = norm == AttackNorm::linf ? moved.largest[at] : std::sqrt(moved.squared[at]);
    EXPECT_LE(size, eps * (1.0 + 1e-6) + 6e-8) << what;  // half a step of floats below 1
    for (const double value : image_values(result.images, i)) {
      EXPECT_GE(value, 0.0) << what;
      EXPECT_LE(value, 1.0) << what;
    }
  }
}

void expect_same_result(const AttackResult& a, int64_t row_a, const AttackResult& b, int64_t row_b,
                        const std::string& what) {
  EXPECT_EQ(image_values(a.images, row_a), image_values(b.images, row_b)) << what;
  const AttackedImage &left = a.records[static_cast<size_t>(row_a)],
                      &right = b.records[static_cast<size_t>(row_b)];
  EXPECT_EQ(left.objective, right.objective) << what;
  EXPECT_EQ(left.objective_start, right.objective_start) << what;
  EXPECT_EQ(left.steps, right.steps) << what;
  EXPECT_EQ(left.reached, right.reached) << what;
  EXPECT_EQ(left.fell, right.fell) << what;
  EXPECT_EQ(left.ended_above, right.ended_above) << what;
  EXPECT_EQ(left.broken, right.broken) << what;
}

TEST(ProjectedGradientTest, StaysInTheBallAndInTheBox) {
  const AttackBatch batch = attack_batch(ball_images(6), false);
  for (const AttackNorm norm : {AttackNorm::linf, AttackNorm::l2})
    for (const double eps : {0.01, 0.2, 3.0})
      for (const bool stop : {true, false}) {
        FunctionAttacked model = wavy(0.2);
        const ProjectedGradient how = {.norm = norm,
                                       .eps = eps,
                                       .objective = {AttackLoss::margin},
                                       .steps = 20,
                                       .restarts = 3,
                                       .stop_when_reached = stop};
        const std::string what = std::string(name_of(norm)) + " " + std::to_string(eps);
        const AttackResult result = attack_projected_gradient(model, batch, how);
        expect_in_ball(result, batch, norm, eps, what);
        for (const AttackedImage& record : result.records)
          EXPECT_LE(record.objective, record.objective_start) << what;
        expect_in_ball(attack_fast_gradient(model, batch, how), batch, norm, eps, what);
      }
}

TEST(ProjectedGradientTest, RestartsBeginElsewhereAndAreTheSameEachTime) {
  const AttackBatch batch = attack_batch(ball_images(4), false);
  ProjectedGradient how = {.eps = 0.1, .objective = {AttackLoss::margin}, .steps = 10};
  how.stop_when_reached = false;
  FunctionAttacked model = wavy(3.0, 200.0);
  const AttackResult one = attack_projected_gradient(model, batch, how);
  how.restarts = 4;
  const AttackResult four = attack_projected_gradient(model, batch, how);
  const AttackResult again = attack_projected_gradient(model, batch, how);
  how.seed = 1;
  const AttackResult other = attack_projected_gradient(model, batch, how);
  bool lower = false, seeded = false;
  for (int64_t i = 0; i < batch.count(); ++i) {
    const auto at = static_cast<size_t>(i);
    expect_same_result(four, i, again, i, "again");
    EXPECT_LE(four.records[at].objective, one.records[at].objective);
    EXPECT_EQ(four.records[at].steps, 4 * one.records[at].steps);
    lower = lower || four.records[at].objective < one.records[at].objective;
    seeded = seeded || four.records[at].objective != other.records[at].objective;
  }
  EXPECT_TRUE(lower);
  EXPECT_TRUE(seeded);
}

TEST(ProjectedGradientTest, AnImageFaresTheSameInAnyBatch) {
  const auto images = ball_images(7);
  const AttackBatch batch = attack_batch(images, false);
  const std::vector<uint64_t> streams = {11, 3, 8, 100, 42, 5, 7};
  for (const AttackNorm norm : {AttackNorm::linf, AttackNorm::l2})
    for (const bool stop : {true, false}) {
      FunctionAttacked model = wavy(1.0);
      ProjectedGradient how = {.norm = norm,
                               .eps = norm == AttackNorm::linf ? 0.08 : 0.3,
                               .objective = {AttackLoss::margin},
                               .steps = 25,
                               .restarts = 3,
                               .stop_when_reached = stop,
                               .streams = streams};
      const AttackResult all = attack_projected_gradient(model, batch, how);
      int64_t reached = 0;
      for (int64_t i = 0; i < batch.count(); ++i) {
        reached += all.records[static_cast<size_t>(i)].reached ? 1 : 0;
        how.streams = {streams[static_cast<size_t>(i)]};
        const AttackResult alone = attack_projected_gradient(
            model, attack_batch({images[static_cast<size_t>(i)]}, false), how);
        expect_same_result(alone, 0, all, i, name_of(norm));
      }
      // Some are left out on the way, or the case shows nothing.
      if (stop) {
        EXPECT_GT(reached, 0) << name_of(norm);
        EXPECT_LT(reached, 7) << name_of(norm);
      }
    }
}

TEST(ProjectedGradientTest, LeavesReachedImagesAlone) {
  // Already reached: one gradient each, and the image as it is.
  FunctionAttacked model = wavy(-100.0);
  const AttackBatch batch = attack_batch(ball_images(3), false);
  const AttackResult result = attack_projected_gradient(
      model, batch, {.eps = 0.1, .objective = {AttackLoss::margin}, .restarts = 5});
  EXPECT_EQ(model.differentiated, 3);
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(image_values(result.images, i), image_values(batch.images, i));
    EXPECT_TRUE(result.records[static_cast<size_t>(i)].reached);
    EXPECT_EQ(result.records[static_cast<size_t>(i)].steps, 1);
  }
}

TEST(ProjectedGradientTest, NoSlopeIsSurvivedAndTold) {
  FunctionAttacked flat([](std::span<const double>, std::span<double> grad) {
    std::ranges::fill(grad, 0.0);
    return 1.0;
  });
  const AttackBatch batch = attack_batch(ball_images(2), false);
  for (const AttackNorm norm : {AttackNorm::linf, AttackNorm::l2}) {
    const ProjectedGradient how = {.norm = norm, .eps = 0.1, .steps = 12, .restarts = 2};
    for (const AttackResult& result :
         {attack_projected_gradient(flat, batch, how), attack_fast_gradient(flat, batch, how)}) {
      EXPECT_EQ(image_values(result.images, 1), image_values(batch.images, 1));
      EXPECT_EQ(result.records[0].gradient_start, 0.0);
      EXPECT_FALSE(result.records[0].fell);
      EXPECT_FALSE(result.records[0].reached);
      EXPECT_FALSE(result.records[0].broken);
    }
  }
}

TEST(ProjectedGradientTest, ASaturatedCrossEntropyIsToldAndTheMarginStillWorks) {
  FunctionAttacked sure([](std::span<const double> x, std::span<double> grad) {
    std::ranges::fill(grad, 1e5);
    return 1e4 + 1e5 * (x[0] + x[1] - 1.0);
  });
  const AttackBatch batch = attack_batch({{0.5, 0.5}}, false);
  ProjectedGradient how = {.eps = 0.1};
  const AttackResult blind = attack_projected_gradient(sure, batch, how);
  EXPECT_EQ(blind.records[0].gradient_start, 0.0);
  EXPECT_FALSE(blind.records[0].fell);
  EXPECT_FALSE(blind.records[0].reached);
  how.objective.loss = AttackLoss::margin;
  EXPECT_TRUE(attack_projected_gradient(sure, batch, how).records[0].reached);
}

TEST(ProjectedGradientTest, AnswersThatAreNoNumbersAreSurvivedAndTold) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  // Images break where the first value is small or large, in value or in slope; the second
  // image has no good answer at all.
  for (const bool in_value : {true, false}) {
    FunctionAttacked model([=](std::span<const double> x, std::span<double> grad) {
      const bool bad = x[0] < 0.48 || x[0] > 0.85;
      std::ranges::fill(grad, bad && !in_value ? nan : 1.0);
      return bad && in_value ? nan : 10.0 + x[0] + x[1];
    });
    const AttackBatch batch = attack_batch({{0.5, 0.5}, {1.0, 0.5}, {0.7, 0.7}}, false);
    for (const AttackNorm norm : {AttackNorm::linf, AttackNorm::l2}) {
      const ProjectedGradient how = {
          .norm = norm, .eps = 0.1, .objective = {AttackLoss::margin}, .steps = 20, .restarts = 2};
      const AttackResult result = attack_projected_gradient(model, batch, how);
      expect_in_ball(result, batch, norm, 0.1, "broken");
      EXPECT_TRUE(result.records[0].broken);
      EXPECT_TRUE(result.records[1].broken);
      EXPECT_FALSE(result.records[2].broken);
      EXPECT_TRUE(result.records[0].fell);
      EXPECT_GE(image_values(result.images, 0)[0], 0.48 - 1e-6);
      EXPECT_FALSE(result.records[1].reached);
      const AttackResult step = attack_fast_gradient(model, batch, how);
      expect_in_ball(step, batch, norm, 0.1, "one broken step");
      EXPECT_TRUE(step.records[1].broken);
    }
  }
}

TEST(RandomInBallTest, HasTheSizeThatIsAskedFor) {
  const std::vector<std::vector<double>> grey(3, std::vector<double>(kBallWidth, 0.5));
  const Tensor images = attack_batch(grey).images;
  const std::vector<double> radius = {0.1, 0.2, 0.3};
  const Tensor signs = random_in_ball(images, AttackNorm::linf, radius, 4, {1, 2, 1});
  const Tensor normal = random_in_ball(images, AttackNorm::l2, radius, 4, {1, 2, 1});
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(image_distances(signs, images).largest[i], radius[i], 1e-6);
    EXPECT_NEAR(std::sqrt(image_distances(normal, images).squared[i]), radius[i], 1e-6);
  }
  // The stream decides the direction.
  EXPECT_EQ(image_values(signs, 0)[7] > 0.5, image_values(signs, 2)[7] > 0.5);
  EXPECT_NE(image_values(normal, 0), image_values(normal, 1));
}

std::vector<std::vector<double>> square_case(std::vector<double>& weights) {
  weights.resize(64);
  for (size_t k = 0; k < 64; ++k) weights[k] = std::sin(0.5 + 2.1 * static_cast<double>(k));
  return {std::vector<double>(64, 0.5)};
}

/// The linear model's batch as pictures of 8 x 8.
AttackBatch as_pictures(const AttackBatch& batch) {
  return {batch.images.reshape({batch.count(), 8, 8, 1}), batch.goals};
}

TEST(SquareTest, FlipsALineStaysInTheBallAndNeverGetsWorse) {
  std::vector<double> weights;
  const std::vector<double> image = square_case(weights)[0];
  double sum = 0.0;
  for (const double w : weights) sum += std::abs(w);
  for (const double factor : {0.5, 3.0}) {
    // `factor` times the radius at which signs of all values flip the class.
    LinearAttacked model(image, weights, 1.0);
    const AttackBatch batch = as_pictures(model.batch(3, false));
    const RandomSquares how = {.eps = factor / sum, .queries = 600};
    const AttackResult result = attack_square(model, batch, how);
    const AttackResult again = attack_square(model, batch, how);
    expect_in_ball(result, batch, AttackNorm::linf, how.eps, "squares");
    for (int64_t i = 0; i < 3; ++i) {
      const AttackedImage& record = result.records[static_cast<size_t>(i)];
      EXPECT_EQ(record.reached, factor > 1.0);
      EXPECT_LE(record.objective, record.objective_start);
      EXPECT_TRUE(record.fell);
      EXPECT_LE(record.steps, how.queries);
      expect_same_result(result, i, again, i, "again");
      const ImageScores said = model.scores(images_at(result.images, {i}));
      EXPECT_NEAR(said.scores[0] - said.scores[1], record.objective, 1e-9);
    }
    // Numbers go with the image, not with its row.
    RandomSquares moved = how;
    moved.streams = {2, 0, 1};
    const AttackResult other = attack_square(model, batch, moved);
    expect_same_result(result, 2, other, 0, "another row");
    expect_same_result(result, 0, other, 1, "another row");
  }
}

TEST(SquareTest, NarrowImagesAndAnswersThatAreNoNumbers) {
  FunctionAttacked model([](std::span<const double> x, std::span<double>) {
    return x[0] > 0.5 ? std::numeric_limits<double>::quiet_NaN() : x[0];
  });
  for (const Shape& shape : {Shape{1, 1, 5, 1}, Shape{1, 5, 1, 1}, Shape{1, 1, 1, 5}}) {
    AttackBatch batch = attack_batch({{0.5, 0.5, 0.5, 0.5, 0.5}}, false);
    batch.images = batch.images.reshape(shape);
    const AttackResult result = attack_square(model, batch, {.eps = 0.2, .queries = 200});
    EXPECT_TRUE(result.records[0].broken);
    EXPECT_TRUE(result.records[0].fell);
    EXPECT_NEAR(result.records[0].objective, 0.3, 1e-6);
  }
  FunctionAttacked none([](std::span<const double>, std::span<double>) {
    return std::numeric_limits<double>::quiet_NaN();
  });
  const AttackResult result =
      attack_square(none, attack_batch({{0.5, 0.5}}, false), {.eps = 0.2, .queries = 10});
  EXPECT_TRUE(result.records[0].broken);
  EXPECT_FALSE(result.records[0].reached);
}

}  // namespace
}  // namespace pal
