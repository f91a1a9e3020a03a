#include "experiments/measures/kernel_density.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "runtime/error.h"
#include "runtime/philox.h"

namespace pal {
namespace {

std::vector<double> normal_numbers(int count) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i)
    values.push_back(
        static_cast<double>(Philox(5, RandomPurpose::test).normal4(static_cast<uint32_t>(i))[0]));
  return values;
}

TEST(KernelDensity, IsTheSumOfItsKernels) {
  // Deviation 1, quartiles -1 and 1: the width is 0.9 * 2^(-1/5).
  const KernelDensity density({-1.0, 1.0});
  const double width = 0.9 * std::pow(2.0, -0.2) * std::min(1.0, 1.0 / 1.34);
  EXPECT_NEAR(density.width(), width, 1e-12);
  const auto kernel = [&](double u) {
    return std::exp(-0.5 * u * u / width / width) / width / std::sqrt(2.0 * std::numbers::pi);
  };
  for (const double x : {-3.0, -1.0, 0.0, 0.4, 2.0})
    EXPECT_NEAR(density.log_density(x), std::log(0.5 * (kernel(x - 1.0) + kernel(x + 1.0))), 1e-12)
        << x;
}

TEST(KernelDensity, IntegratesToOneAndFollowsItsSample) {
  const KernelDensity density(normal_numbers(5000));
  double sum = 0.0;
  for (double x = -6.0; x < 6.0; x += 0.01) sum += 0.01 * std::exp(density.log_density(x));
  EXPECT_NEAR(sum, 1.0, 1e-3);
  EXPECT_NEAR(std::exp(density.log_density(0.0)), 1.0 / std::sqrt(2.0 * std::numbers::pi), 0.03);
}

TEST(KernelDensity, StaysFiniteFarAwayAndForEqualValues) {
  const KernelDensity density(normal_numbers(100));
  EXPECT_TRUE(std::isfinite(density.log_density(1e6)));
  EXPECT_GT(density.log_density(10.0), density.log_density(11.0));
  EXPECT_GT(density.log_density(-10.0), density.log_density(-11.0));
  const KernelDensity constant({2.0, 2.0, 2.0});
  EXPECT_GT(constant.log_density(2.0), constant.log_density(2.1));
  EXPECT_TRUE(std::isfinite(constant.log_density(3.0)));
}

TEST(KernelDensity, RefusesNothingAndNaN) {
  EXPECT_THROW(KernelDensity({}), Error);
  EXPECT_THROW(KernelDensity({std::numeric_limits<double>::quiet_NaN()}), Error);
}

}  // namespace
}  // namespace pal
