// What attacks make small: values, goals and derivatives.
#include "experiments/attacks/attack_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "runtime/error.h"
#include "tests/support/error_text.h"

namespace pal {
namespace {

constexpr AttackLoss kEveryLoss[] = {AttackLoss::cross_entropy, AttackLoss::dlr, AttackLoss::margin,
                                     AttackLoss::hinge};

ImageScores five_scores() {
  return {5,
          {1.2, -0.3, 0.7, 2.9, -1.1,   //
           -2.0, 3.5, 0.4, 0.9, 1.7,    //
           0.3, 0.1, -0.2, -0.9, 0.6},  //
          {-1.3, 0.8, 2.1}};
}

double objective_sum(const AttackObjective& objective, const ImageScores& said,
                     const std::vector<AttackGoal>& goals) {
  double sum = 0.0;
  for (const double value : evaluate_objective(objective, said, goals).values) sum += value;
  return sum;
}

TEST(AttackLossTest, DerivativesAreThoseOfTheValues) {
  const std::vector<std::vector<AttackGoal>> kinds = {{{0, 3}, {1, 0}, {4, 2}},
                                                      {{0, -1}, {1, -1}, {4, -1}}};
  for (const AttackLoss loss : kEveryLoss)
    for (const auto& goals : kinds)
      for (const double d : {0.0, 66.0}) {
        const AttackObjective objective = {loss, 10.0, 0.5, d, 0.4};
        const ImageScores said = five_scores();
        ImageGradients gradients;
        evaluate_objective(objective, said, goals, &gradients);
        ASSERT_EQ(gradients.scores.size(), said.scores.size());
        ASSERT_EQ(gradients.log_density.size(), d == 0.0 ? 0U : 3U);
        const auto check = [&](std::vector<double> ImageScores::*member, size_t at, double found) {
          constexpr double kStep = 1e-6;
          ImageScores more = said, less = said;
          (more.*member)[at] += kStep;
          (less.*member)[at] -= kStep;
          const double expected =
              (objective_sum(objective, more, goals) - objective_sum(objective, less, goals)) /
              (2.0 * kStep);
          EXPECT_NEAR(found, expected, 1e-6 * (1.0 + std::abs(expected)))
              << name_of(loss) << ", target " << goals[0].target << ", d " << d << ", value " << at;
        };
        for (size_t i = 0; i < said.scores.size(); ++i)
          check(&ImageScores::scores, i, gradients.scores[i]);
        for (size_t i = 0; i < gradients.log_density.size(); ++i)
          check(&ImageScores::log_density, i, gradients.log_density[i]);
      }
}

TEST(AttackLossTest, ValuesByHand) {
  const ImageScores said = {4, {2.0, 1.0, -1.0, 0.0}, {-0.5}};
  const auto value = [&](AttackObjective objective, AttackGoal goal) {
    return evaluate_objective(objective, said, {goal}).values[0];
  };
  const double sum = std::exp(2.0) + std::exp(1.0) + std::exp(-1.0) + 1.0;
  EXPECT_NEAR(value({AttackLoss::cross_entropy}, {0, -1}), 2.0 - std::log(sum), 1e-12);
  EXPECT_NEAR(value({AttackLoss::cross_entropy}, {0, 1}), std::log(sum) - 1.0, 1e-12);
  EXPECT_DOUBLE_EQ(value({AttackLoss::margin}, {0, -1}), 1.0);
  EXPECT_DOUBLE_EQ(value({AttackLoss::margin}, {0, 2}), 3.0);
  // (2 - 1) / (2 - 0), and (2 - -1) / (2 - (0 - 1) / 2).
  EXPECT_NEAR(value({AttackLoss::dlr}, {0, -1}), 0.5, 1e-9);
  EXPECT_NEAR(value({AttackLoss::dlr}, {0, 2}), 1.2, 1e-9);
  // A goal that is reached: the hinge ends at kappa, the margin does not.
  EXPECT_DOUBLE_EQ(value({AttackLoss::margin}, {1, 0}), -1.0);
  EXPECT_DOUBLE_EQ(value({AttackLoss::hinge, 10.0, 0.25}, {1, 0}), -2.5);
  EXPECT_DOUBLE_EQ(value({AttackLoss::hinge, 10.0, 3.0}, {1, 0}), -10.0);
  EXPECT_DOUBLE_EQ(value({AttackLoss::margin, 1.0, 0.0, 2.0, 0.5}, {0, -1}), 1.0 + 2.0);
}

TEST(AttackLossTest, KappaMayBeInfinite) {
  const AttackObjective objective = {AttackLoss::hinge, 10.0,
                                     std::numeric_limits<double>::infinity()};
  const ImageScores said = {2, {-300.0, 500.0}, {}};
  ImageGradients gradients;
  const ObjectiveValues values = evaluate_objective(objective, said, {{0, 1}}, &gradients);
  EXPECT_DOUBLE_EQ(values.values[0], -8000.0);
  EXPECT_EQ(gradients.scores, (std::vector<double>{10.0, -10.0}));
}

TEST(AttackLossTest, EqualScoresAreNoGoalAndHaveFiniteDerivatives) {
  const ImageScores said = {4, {1.0, 1.0, 1.0, 1.0}, {}};
  for (const AttackLoss loss : kEveryLoss)
    for (const int32_t target : {-1, 2}) {
      ImageGradients gradients;
      const ObjectiveValues values =
          evaluate_objective({loss, 1.0, 0.1}, said, {{1, target}}, &gradients);
      EXPECT_FALSE(values.reached[0]) << name_of(loss);
      EXPECT_EQ(values.margins[0], 0.0);
      EXPECT_TRUE(std::isfinite(values.values[0]));
      for (const double derivative : gradients.scores) EXPECT_TRUE(std::isfinite(derivative));
      // The first of equal ones stands in the way, and something falls.
      if (loss == AttackLoss::margin) {
        EXPECT_EQ(gradients.scores[target >= 0 ? 0 : 1], 1.0);
        EXPECT_EQ(gradients.scores[target >= 0 ? 2 : 0], -1.0);
      }
    }
}

TEST(AttackLossTest, AHingeThatIsWideEnoughHasNoSlope) {
  ImageGradients gradients;
  evaluate_objective({AttackLoss::hinge, 10.0, 0.5}, {2, {0.0, 0.5}, {}}, {{0, 1}}, &gradients);
  EXPECT_EQ(gradients.scores, (std::vector<double>{0.0, 0.0}));
}

TEST(AttackLossTest, ScoresThatAreNoNumbersReachNothing) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const AttackLoss loss : kEveryLoss) {
    const ObjectiveValues values =
        evaluate_objective({loss}, {4, {nan, nan, nan, nan}, {}}, {{0, -1}});
    EXPECT_FALSE(values.reached[0]);
    EXPECT_FALSE(std::isfinite(values.values[0]));
  }
}

TEST(AttackLossTest, WhatDoesNotFitIsRefused) {
  const ImageScores two = {2, {0.0, 1.0}, {}}, three = {3, {0.0, 1.0, 2.0}, {}};
  const auto refusal = [](const AttackObjective& objective, const ImageScores& said,
                          const AttackGoal& goal) {
    return testing::usage_error([&] { evaluate_objective(objective, said, {goal}); });
  };
  EXPECT_EQ(refusal({AttackLoss::dlr}, two, {0, -1}),
            "attack: the loss dlr needs 3 classes; the model has 2");
  EXPECT_EQ(refusal({AttackLoss::dlr}, three, {0, 1}),
            "attack: the loss dlr needs 4 classes; the model has 3");
  EXPECT_NO_THROW(evaluate_objective({AttackLoss::dlr}, three, {{0, -1}}));
  EXPECT_EQ(refusal({AttackLoss::margin, 1.0, 0.0, 66.0}, two, {0, 1}),
            "attack: a detection term needs a model with a density");
  EXPECT_THROW(evaluate_objective({}, two, {}), Error);
}

}  // namespace
}  // namespace pal
