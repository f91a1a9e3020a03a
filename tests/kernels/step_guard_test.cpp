#include "kernels/optimizer/step_guard.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/optimizer/step_guard_math.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::random_tensor;
using testing::tensor_with;
using testing::value_at;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A guard and what it works with.
struct Guard {
  explicit Guard(double clip = 0.0, double deviations = 0.0, double bad_steps = 2.0,
                 double decay = 0.999)
      : limits(tensor_with({kGuardLimits}, DType::f64, {clip, deviations, bad_steps, decay})),
        controls(Tensor::zeros({2, kUpdateControls}, DType::f64)),
        state(Tensor::zeros({kGuardValues}, DType::f64)) {
    for (const int64_t group : {0, 1}) {
      testing::set_value(controls, group * kUpdateControls + kBeta1, 0.9);
      testing::set_value(controls, group * kUpdateControls + kBeta2, 0.999);
    }
  }

  StepVerdict judge(double norm, double means = 1.0, double statistics = 1.0, double loss = 1.0) {
    cpu::judge_step(tensor_with({1}, DType::f64, {loss}),
                    tensor_with({kNormParts}, DType::f64, {norm * norm, means, statistics}), limits,
                    controls, state);
    return static_cast<StepVerdict>(static_cast<int>(value(kVerdict)));
  }
  double value(GuardValue place) const { return value_at(state, place); }
  double scale(int group) const { return value_at(controls, group * kUpdateControls + kGradScale); }

  Tensor limits, controls, state;
};

TEST(StepGuard, ClipFactor) {
  using step_guard_math::clip_factor;
  EXPECT_EQ(clip_factor(1.0, 8.0), 1.0);
  EXPECT_DOUBLE_EQ(clip_factor(16.0, 8.0), 8.0 / 16.000001);
  EXPECT_EQ(clip_factor(0.0, 8.0), 1.0);
  EXPECT_EQ(clip_factor(16.0, 0.0), 1.0);
}

TEST(StepGuard, TakesGoodStepsAndClipsTheNetworkAlone) {
  Guard guard(8.0);
  EXPECT_EQ(guard.judge(16.0, 1e9), StepVerdict::taken);
  EXPECT_DOUBLE_EQ(guard.scale(0), 8.0 / 16.000001);
  EXPECT_EQ(guard.scale(1), 1.0);
  EXPECT_EQ(guard.judge(2.0), StepVerdict::taken);
  EXPECT_EQ(guard.scale(0), 1.0);
  EXPECT_EQ(guard.value(kUpdates), 2.0);
  for (const int64_t group : {0, 1}) {
    EXPECT_DOUBLE_EQ(value_at(guard.controls, group * kUpdateControls + kCorrection1), 1 - 0.81);
    EXPECT_DOUBLE_EQ(value_at(guard.controls, group * kUpdateControls + kCorrection2),
                     1 - 0.999 * 0.999);
  }
}

TEST(StepGuard, SkipsWhatIsNotFiniteAndHaltsAfterARow) {
  for (const double bad : {kNaN, kInfinity, -kInfinity})
    for (int where = 0; where < 4; ++where) {
      Guard guard;
      const auto judge_bad = [&] {
        return guard.judge(where == 0 ? bad : 1.0, where == 1 ? bad : 1.0, where == 2 ? bad : 1.0,
                           where == 3 ? bad : 1.0);
      };
      EXPECT_EQ(guard.judge(1.0), StepVerdict::taken);
      for (int row = 0; row < 2; ++row) {
        for (int i = 1; i <= 2; ++i) {
          EXPECT_EQ(judge_bad(), StepVerdict::not_finite);
          EXPECT_EQ(guard.value(kNotFiniteInRow), i);
          EXPECT_TRUE(std::isnan(guard.scale(0)));
          EXPECT_TRUE(std::isnan(guard.scale(1)));
          EXPECT_TRUE(std::isnan(guard.value(kAverageRate)));
        }
        // A good one ends the row.
        EXPECT_EQ(guard.judge(1.0), StepVerdict::taken);
        EXPECT_EQ(guard.value(kNotFiniteInRow), 0.0);
        EXPECT_EQ(guard.scale(0), 1.0);
      }
      EXPECT_EQ(guard.value(kUpdates), 3.0);
      judge_bad();
      judge_bad();
      EXPECT_EQ(judge_bad(), StepVerdict::halted);
      EXPECT_EQ(guard.value(kNotFinite), 7.0);
      // For good.
      EXPECT_EQ(guard.judge(1.0), StepVerdict::halted);
      EXPECT_TRUE(std::isnan(guard.scale(0)));
      EXPECT_EQ(guard.value(kNotFinite), 7.0);
      EXPECT_EQ(guard.value(kUpdates), 3.0);
    }
}

TEST(StepGuard, NoBadStepMayBeAllowed) {
  Guard guard(0.0, 0.0, 0.0);
  EXPECT_EQ(guard.judge(kNaN), StepVerdict::halted);
}

TEST(StepGuard, SkipsOutliersOfTheNorm) {
  Guard guard(0.0, 4.0);
  // Nothing is an outlier before there is enough to compare it with.
  EXPECT_EQ(guard.judge(1000.0), StepVerdict::taken);
  guard = Guard(0.0, 4.0);
  double mean = 0.0, square = 0.0;
  for (int i = 0; i < 100; ++i) {
    const double norm = 10.0 + (i % 5);
    EXPECT_EQ(guard.judge(norm), StepVerdict::taken) << i;
    mean += norm / 100;
    square += norm * norm / 100;
  }
  EXPECT_NEAR(guard.value(kNormMean), mean, 1e-12);
  EXPECT_NEAR(guard.value(kNormVariance), square - mean * mean, 1e-10);
  const double deviation = std::sqrt(square - mean * mean);
  EXPECT_EQ(guard.judge(mean + 3.9 * deviation), StepVerdict::taken);
  EXPECT_EQ(guard.judge(mean + 6.0 * deviation), StepVerdict::outlier);
  EXPECT_TRUE(std::isnan(guard.scale(0)));
  // One of them does not hide the next.
  EXPECT_EQ(guard.judge(mean + 6.0 * deviation), StepVerdict::outlier);
  EXPECT_EQ(guard.value(kOutliersInRow), 2.0);
  EXPECT_EQ(guard.judge(mean), StepVerdict::taken);
  EXPECT_EQ(guard.value(kOutliersInRow), 0.0);
  EXPECT_EQ(guard.value(kOutliers), 2.0);
  // A step that is not finite says nothing about norms.
  const double before = guard.value(kNormMean);
  EXPECT_EQ(guard.judge(kNaN), StepVerdict::not_finite);
  EXPECT_EQ(guard.value(kNormMean), before);
}

TEST(StepGuard, AnOutlierDoesNotEndARowOfBadSteps) {
  Guard guard(0.0, 4.0);
  for (int i = 0; i < 50; ++i) guard.judge(1.0 + 0.01 * (i % 3));
  EXPECT_EQ(guard.judge(kNaN), StepVerdict::not_finite);
  EXPECT_EQ(guard.judge(kNaN), StepVerdict::not_finite);
  EXPECT_EQ(guard.judge(5.0), StepVerdict::outlier);
  EXPECT_EQ(guard.judge(kNaN), StepVerdict::halted);
}

TEST(StepGuard, ARowOfOutliersIsANewLevel) {
  Guard guard(0.0, 4.0);
  for (int i = 0; i < 50; ++i) guard.judge(1.0 + 0.01 * (i % 3));
  EXPECT_EQ(guard.judge(5.0), StepVerdict::outlier);
  EXPECT_EQ(guard.judge(5.0), StepVerdict::outlier);
  EXPECT_EQ(guard.judge(5.0), StepVerdict::taken);
  EXPECT_EQ(guard.value(kNormMean), 5.0);
  EXPECT_EQ(guard.value(kNorms), 1.0);
  EXPECT_EQ(guard.judge(5.1), StepVerdict::taken);
  EXPECT_EQ(guard.value(kOutliers), 2.0);
}

TEST(StepGuard, AveragesFollowTheFirstUpdatesFaster) {
  Guard guard(0.0, 0.0, 2.0, 0.9);
  for (int t = 1; t <= 200; ++t) {
    guard.judge(1.0);
    EXPECT_DOUBLE_EQ(guard.value(kAverageRate), 1.0 - std::min(0.9, (1.0 + t) / (10.0 + t)));
  }
}

TEST(StepGuard, RestoresUnlessTheStepWasTaken) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor kept = random_tensor({37}, dtype, 1);
    const Tensor moved = random_tensor({37}, dtype, 2);
    Guard guard;
    guard.judge(1.0);
    const Tensor values = moved.clone();
    cpu::restore_unless_taken(values, kept, guard.state);
    expect_near(values, moved, 0.0);
    guard.judge(kNaN);
    cpu::restore_unless_taken(values, kept, guard.state);
    expect_near(values, kept, 0.0);
  }
}

TEST(StepGuard, RefusesWrongArguments) {
  Guard guard;
  const Tensor two = Tensor::zeros({2}, DType::f64);
  const Tensor loss = Tensor::zeros({1}, DType::f64);
  expect_error(ErrorKind::usage, "judge_step: expected squared norms of shape [3], got [2]",
               [&] { cpu::judge_step(loss, two, guard.limits, guard.controls, guard.state); });
  const Tensor norms = Tensor::zeros({3}, DType::f64);
  expect_error(ErrorKind::usage, "judge_step: expected controls of shape [2, 8], got [2]",
               [&] { cpu::judge_step(loss, norms, guard.limits, two, guard.state); });
  expect_error(ErrorKind::usage, "restore_unless_taken: expected kept values of shape [2], got [3]",
               [&] { cpu::restore_unless_taken(two, norms, guard.state); });
}

}  // namespace
}  // namespace pal
