#include "kernels/common/gpu_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/coupling/coupling_math.h"

// The formulas of the GPU, whose functions are exact here: the rest of the stated errors is the
// hardware's.
namespace pal {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
/// Half a unit in the last place of 1.
constexpr double kUlp = 0x1p-24;

/// Calls visit(x) for floats of both signs from 2^low to 2^high.
template <typename Visit>
void sweep_floats(int low, int high, Visit&& visit) {
  constexpr int kSteps = 4001;
  for (int exponent = low; exponent < high; ++exponent)
    for (int i = 0; i < kSteps; ++i) {
      const float x = std::ldexp(1.0F + static_cast<float>(i) / kSteps, exponent);
      visit(x);
      visit(-x);
    }
}

TEST(GpuMath, ExpIsOffByARoundedExponent) {
  sweep_floats(-30, 7, [](float x) {
    if (std::abs(x) > 87.0F) return;
    const double exact = std::exp(static_cast<double>(x));
    // A unit for the power's own rounding, and 1.2 |x| for the exponent's.
    ASSERT_LE(std::abs(gpu_math::exp(x) - exact), (1.0 + 2.4 * std::abs(x)) * kUlp * exact) << x;
  });
  EXPECT_EQ(gpu_math::exp(0.0F), 1.0F);
}

TEST(GpuMath, ExpAtTheEnds) {
  EXPECT_EQ(gpu_math::exp(89.0F), kInfinity);
  EXPECT_EQ(gpu_math::exp(kInfinity), kInfinity);
  EXPECT_EQ(gpu_math::exp(-88.0F), 0.0F);
  EXPECT_EQ(gpu_math::exp(-kInfinity), 0.0F);
  EXPECT_TRUE(std::isnan(gpu_math::exp(kNan)));
}

TEST(GpuMath, Reciprocal) {
  sweep_floats(-126, 126, [](float x) { ASSERT_EQ(gpu_math::reciprocal(x), 1.0F / x); });
  EXPECT_EQ(gpu_math::reciprocal(0x1.8p126F), 0.0F);
  EXPECT_EQ(gpu_math::reciprocal(-0x1p-127F), -kInfinity);
  EXPECT_EQ(gpu_math::reciprocal(kInfinity), 0.0F);
  EXPECT_TRUE(std::isnan(gpu_math::reciprocal(kNan)));
}

TEST(GpuMath, TanhIsAccurateAbsolutely) {
  double worst = 0.0;
  sweep_floats(-40, 20, [&](float x) {
    const float found = gpu_math::tanh(x);
    ASSERT_EQ(found, -gpu_math::tanh(-x));
    ASSERT_LE(std::abs(found), 1.0F);
    worst = std::max(worst, std::abs(found - std::tanh(static_cast<double>(x))));
  });
  EXPECT_LE(worst, 1.3e-7);
}

TEST(GpuMath, TanhAtTheEnds) {
  EXPECT_EQ(gpu_math::tanh(0.0F), 0.0F);
  EXPECT_TRUE(std::signbit(gpu_math::tanh(-0.0F)));
  for (const float x : {20.0F, 1e30F, kInfinity}) {
    EXPECT_EQ(gpu_math::tanh(x), 1.0F);
    EXPECT_EQ(gpu_math::tanh(-x), -1.0F);
  }
  EXPECT_TRUE(std::isnan(gpu_math::tanh(kNan)));
}

TEST(GpuMath, SoftClampIsThatOfTheCpu) {
  sweep_floats(-20, 20, [](float s) {
    for (const float clamp : {0.7F, 2.0F})
      ASSERT_NEAR(gpu_soft_clamp(s, clamp, 0.2F).log_s, soft_clamp(s, clamp, 0.2F).log_s,
                  3e-7 * clamp);
  });
  EXPECT_EQ(gpu_soft_clamp(0.0F, 0.7F, 0.2F).log_s, 0.0F);
  EXPECT_EQ(gpu_soft_clamp(kInfinity, 0.7F, 0.2F).log_s, 0.7F);
  EXPECT_EQ(gpu_soft_clamp(-kInfinity, 0.7F, 0.2F).log_s, -0.7F);
  EXPECT_TRUE(std::isnan(gpu_soft_clamp(kNan, 0.7F, 0.2F).log_s));
}

}  // namespace
}  // namespace pal
