// The attack of Carlini and Wagner: when images stop, that they fare the same in any batch, broken
// answers.
#include "experiments/attacks/carlini_wagner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "tests/support/function_attacked.h"

namespace pal {
namespace {

using testing::attack_batch;
using testing::FunctionAttacked;
using testing::image_values;

/// An image whose second value is exactly 0.5 has no slope; else the margin falls by 4 with the
/// first value and is 1 at 0.5.
FunctionAttacked half_flat() {
  return FunctionAttacked([](std::span<const double> x, std::span<double> grad) {
    std::ranges::fill(grad, 0.0);
    if (x[1] == 0.5) return 1.0;
    grad[0] = -4.0;
    return 1.0 - 4.0 * (x[0] - 0.5);
  });
}

/// A curved margin and a density that prefers values near 0.5.
FunctionAttacked curved_model() {
  return FunctionAttacked(
      [](std::span<const double> x, std::span<double> grad) {
        double margin = 0.6;
        for (size_t k = 0; k < x.size(); ++k) {
          const double w = 1.0 + std::cos(1.9 * static_cast<double>(k));
          margin += w * std::sin(4.0 * x[k] - 2.0);
          grad[k] = 4.0 * w * std::cos(4.0 * x[k] - 2.0);
        }
        return margin;
      },
      [](std::span<const double> x, std::span<double> grad) {
        double density = 1.0;
        for (size_t k = 0; k < x.size(); ++k) {
          density -= 3.0 * (x[k] - 0.5) * (x[k] - 0.5);
          grad[k] = -6.0 * (x[k] - 0.5);
        }
        return density;
      });
}

std::vector<std::vector<double>> curved_images() {
  std::vector<std::vector<double>> images;
  for (int i = 0; i < 5; ++i) {
    std::vector<double> image(12);
    for (size_t k = 0; k < image.size(); ++k)
      image[k] =
          std::round(255.0 * (0.5 + 0.03 * i + 0.1 * std::sin(static_cast<double>(k)))) / 255.0;
    images.push_back(image);
  }
  return images;
}

void expect_same_record(const AttackedImage& left, const AttackedImage& right) {
  EXPECT_EQ(left.objective_start, right.objective_start);
  EXPECT_EQ(left.objective, right.objective);
  EXPECT_EQ(left.steps, right.steps);
  EXPECT_EQ(left.reached, right.reached);
  EXPECT_EQ(left.gradient_start, right.gradient_start);
  EXPECT_EQ(left.fell, right.fell);
  EXPECT_EQ(left.ended_above, right.ended_above);
  EXPECT_EQ(left.broken, right.broken);
}

TEST(CarliniWagnerTest, ThePublishedProtocolStopsAnImageAfterTwentyStepsInVain) {
  FunctionAttacked model = half_flat();
  const AttackBatch batch = attack_batch({{0.5, 0.5}, {0.5, 0.625}});
  const AttackResult result = attack_carlini_wagner(model, batch, CarliniWagner::paper());
  EXPECT_EQ(result.records[0].steps, 20);
  EXPECT_FALSE(result.records[0].reached);
  EXPECT_FALSE(result.records[0].fell);
  EXPECT_EQ(result.records[0].gradient_start, 0.0);
  EXPECT_EQ(image_values(result.images, 0), image_values(batch.images, 0));
  EXPECT_TRUE(result.records[1].reached);
  EXPECT_TRUE(result.records[1].fell);
  EXPECT_GT(result.records[1].steps, 40);
  // The first image is looked at 21 times and left out then.
  EXPECT_EQ(model.differentiated, 21 + result.records[1].steps + 1);
}

TEST(CarliniWagnerTest, ImagesThatHaveStoppedDoNotMove) {
  FunctionAttacked model = curved_model();
  const AttackBatch batch = attack_batch(curved_images());
  std::map<int64_t, std::vector<std::vector<double>>> way;
  const AttackResult watched =
      attack_carlini_wagner(model, batch, CarliniWagner::paper(), [&](const AttackStep& step) {
        for (size_t i = 0; i < step.rows.size(); ++i)
          way[step.rows[i]].push_back(image_values(step.images, static_cast<int64_t>(i)));
      });
  for (int64_t i = 0; i < batch.count(); ++i) {
    const auto steps = static_cast<size_t>(watched.records[static_cast<size_t>(i)].steps);
    const auto& images = way.at(i);
    ASSERT_GE(images.size(), steps + 1);
    EXPECT_NE(images[steps - 1], images[steps]);
    for (size_t k = steps + 1; k < images.size(); ++k) EXPECT_EQ(images[k], images[steps]);
  }
  // Nor does it matter that they are left out where nobody watches.
  const AttackResult alone = attack_carlini_wagner(model, batch, CarliniWagner::paper());
  for (int64_t i = 0; i < batch.count(); ++i) {
    EXPECT_EQ(image_values(alone.images, i), image_values(watched.images, i));
    expect_same_record(alone.records[static_cast<size_t>(i)],
                       watched.records[static_cast<size_t>(i)]);
  }
}

TEST(CarliniWagnerTest, AnImageFaresTheSameInAnyBatch) {
  const auto images = curved_images();
  for (CarliniWagner how : {CarliniWagner::paper(), CarliniWagner::converged()})
    for (const double d : {0.0, 66.0}) {
      how.d = d;
      how.median = 0.7;
      how.steps = std::min<int64_t>(how.steps, 300);
      FunctionAttacked model = curved_model();
      const AttackResult all = attack_carlini_wagner(model, attack_batch(images), how);
      for (size_t i = 0; i < images.size(); ++i) {
        const AttackResult one = attack_carlini_wagner(model, attack_batch({images[i]}), how);
        EXPECT_EQ(image_values(one.images, 0), image_values(all.images, static_cast<int64_t>(i)));
        expect_same_record(one.records[0], all.records[i]);
      }
    }
}

TEST(CarliniWagnerTest, NoResultLiesAboveItsStart) {
  for (const double kappa : {0.01, 1.0, std::numeric_limits<double>::infinity()})
    for (const double d : {0.0, 66.0, 1000.0})
      for (CarliniWagner how : {CarliniWagner::paper(), CarliniWagner::converged()}) {
        how.kappa = kappa;
        how.d = d;
        how.median = 0.4;
        FunctionAttacked model = curved_model();
        const AttackBatch batch = attack_batch(curved_images());
        const AttackResult result = attack_carlini_wagner(model, batch, how);
        const AttackObjective objective = {AttackLoss::hinge, how.c, kappa, d, how.median};
        const ObjectiveValues values =
            evaluate_objective(objective, model.scores(result.images), batch.goals);
        const ImageDistances moved = image_distances(result.images, batch.images);
        for (size_t i = 0; i < result.records.size(); ++i) {
          const AttackedImage& record = result.records[i];
          EXPECT_LE(record.objective, record.objective_start) << kappa << ", " << d;
          // What is told is what the image has.
          EXPECT_NEAR(record.objective, values.values[i] + moved.squared[i],
                      1e-6 * (1.0 + std::abs(record.objective)));
          EXPECT_EQ(record.reached, values.reached[i]);
          for (const double value : image_values(result.images, static_cast<int64_t>(i))) {
            EXPECT_GE(value, 0.0);
            EXPECT_LE(value, 1.0);
          }
        }
      }
}

TEST(CarliniWagnerTest, TheDetectionTermHoldsTheDensityAtTheMedian) {
  FunctionAttacked model = curved_model();
  const AttackBatch batch = attack_batch({curved_images()[2]});
  CarliniWagner how = CarliniWagner::converged();
  how.median = model.scores(batch.images).log_density[0];
  const auto off = [&] {
    const AttackResult result = attack_carlini_wagner(model, batch, how);
    EXPECT_TRUE(result.records[0].reached);
    return std::abs(model.scores(result.images).log_density[0] - how.median);
  };
  const double open = off();
  how.d = 66.0;
  EXPECT_LT(off(), 0.5 * open);
}

TEST(CarliniWagnerTest, TheSearchEndsNearerAtTheSameMargin) {
  FunctionAttacked model = half_flat();
  const AttackBatch batch = attack_batch({{0.5, 0.625}});
  for (const double kappa : {0.01, 0.5}) {
    CarliniWagner how = CarliniWagner::converged();
    how.kappa = kappa;
    const AttackResult result = attack_carlini_wagner(model, batch, how);
    EXPECT_NEAR(std::sqrt(image_distances(result.images, batch.images).squared[0]),
                (1.0 + kappa) / 4.0, 1e-4);
    const ImageScores said = model.scores(result.images);
    EXPECT_LE(said.scores[0] - said.scores[1], -kappa);
  }
}

TEST(CarliniWagnerTest, AnswersThatAreNoNumbersStopTheirImageAlone) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinite = std::numeric_limits<double>::infinity();
  for (const double bad : {nan, infinite, -infinite})
    for (const bool in_value : {true, false})
      for (const CarliniWagner& how : {CarliniWagner::paper(), CarliniWagner::converged()}) {
        // Below 0.45 of the first value there is no answer, and none at all for the last image.
        FunctionAttacked model([=](std::span<const double> x, std::span<double> grad) {
          const bool broken = x[0] < 0.45;
          std::ranges::fill(grad, broken && !in_value ? bad : 4.0);
          return broken && in_value ? bad : 1.0 + 4.0 * (x[0] - 0.5) + 4.0 * (x[1] - 0.5);
        });
        const AttackBatch batch = attack_batch({{0.8, 0.8}, {0.5, 0.9}, {0.2, 0.2}});
        const AttackResult result = attack_carlini_wagner(model, batch, how);
        const AttackResult alone = attack_carlini_wagner(model, attack_batch({{0.8, 0.8}}), how);
        EXPECT_EQ(image_values(result.images, 0), image_values(alone.images, 0));
        expect_same_record(result.records[0], alone.records[0]);
        EXPECT_TRUE(result.records[1].broken);
        EXPECT_TRUE(result.records[2].broken);
        EXPECT_GE(image_values(result.images, 1)[0], 0.45 - 1e-6);
        EXPECT_EQ(result.records[2].steps, 0);
        EXPECT_EQ(image_values(result.images, 2), image_values(batch.images, 2));
        EXPECT_TRUE(!in_value || !result.records[2].reached);
      }
}

}  // namespace
}  // namespace pal
