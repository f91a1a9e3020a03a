#include "kernels/common/math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace pal {
namespace {

/// Error in units of the last place of a float near `exact`.
double ulps(float value, double exact) {
  const auto near = std::abs(static_cast<float>(exact));
  const double unit =
      static_cast<double>(std::nextafter(near, std::numeric_limits<float>::infinity()) - near);
  return std::abs(static_cast<double>(value) - exact) / unit;
}

/// Visits floats of both signs over all binades in [low, high], `per_binade` in each.
template <typename Visit>
void sweep(int low, int high, int per_binade, Visit&& visit) {
  for (int exponent = low; exponent <= high; ++exponent)
    for (int i = 0; i < per_binade; ++i) {
      const float x =
          std::ldexp(1.0F + static_cast<float>(i) / static_cast<float>(per_binade), exponent);
      visit(x);
      visit(-x);
    }
}

TEST(Math, FastExpIsAccurateToTwoUlps) {
  double worst = 0.0;
  sweep(-30, 6, 5003, [&](float x) {
    if (std::abs(x) > 87.0F) return;
    worst = std::max(worst, ulps(fast_exp(x), std::exp(static_cast<double>(x))));
  });
  EXPECT_LE(worst, 2.0);
  EXPECT_EQ(fast_exp(0.0F), 1.0F);
}

TEST(Math, FastExpStaysFiniteOutsideItsRange) {
  EXPECT_EQ(fast_exp(1000.0F), fast_exp(88.0F));
  EXPECT_EQ(fast_exp(-1000.0F), fast_exp(-87.0F));
  EXPECT_GT(fast_exp(-1000.0F), 0.0F);
  EXPECT_TRUE(std::isfinite(fast_exp(std::numeric_limits<float>::infinity())));
  EXPECT_TRUE(std::isnan(fast_exp(std::numeric_limits<float>::quiet_NaN())));
}

TEST(Math, FastTanhIsAccurateToFourUlps) {
  double worst = 0.0;
  sweep(-30, 6, 5003, [&](float x) {
    worst = std::max(worst, ulps(fast_tanh(x), std::tanh(static_cast<double>(x))));
  });
  EXPECT_LE(worst, 4.0);
}

TEST(Math, FastTanhIsOddAndBounded) {
  sweep(-30, 8, 101, [](float x) {
    ASSERT_EQ(fast_tanh(-x), -fast_tanh(x));
    ASSERT_LE(std::abs(fast_tanh(x)), 1.0F);
  });
  EXPECT_EQ(fast_tanh(0.0F), 0.0F);
  EXPECT_EQ(fast_tanh(std::numeric_limits<float>::infinity()), 1.0F);
  EXPECT_EQ(fast_tanh(-std::numeric_limits<float>::infinity()), -1.0F);
  EXPECT_TRUE(std::isnan(fast_tanh(std::numeric_limits<float>::quiet_NaN())));
}

TEST(Math, DoublesAreTheLibrarys) {
  for (const double x : {-3.0, 0.1, 7.5}) {
    EXPECT_EQ(fast_exp(x), std::exp(x));
    EXPECT_EQ(fast_tanh(x), std::tanh(x));
  }
}

}  // namespace
}  // namespace pal
