#include "experiments/training/loss_watch.h"

#include <gtest/gtest.h>

namespace pal {
namespace {

LossWatch after(double first, double later, int steps) {
  LossWatch watch;
  watch.add(first);
  for (int i = 0; i < steps; ++i) watch.add(later);
  return watch;
}

TEST(LossWatch, NoticesALossThatClimbs) {
  EXPECT_TRUE(after(2.0, 400.0, 20).climbed());
  EXPECT_TRUE(after(2.0, 2.6, 100).climbed());
  EXPECT_TRUE(after(-2.5, -1.5, 100).climbed());
  // Too early to say, as good as nothing, or on its way down.
  EXPECT_FALSE(after(2.0, 400.0, 19).climbed());
  EXPECT_FALSE(after(2.0, 2.4, 1000).climbed());
  EXPECT_FALSE(after(2.0, 1.0, 1000).climbed());
  EXPECT_FALSE(after(0.5, -2.5, 1000).climbed());
  EXPECT_FALSE(LossWatch().climbed());
}

TEST(LossWatch, ForgetsASpike) {
  LossWatch watch = after(2.0, 1.0, 100);
  watch.add(15.0);
  EXPECT_FALSE(watch.climbed());
  EXPECT_NEAR(watch.first(), 2.0, 1e-12);
}

}  // namespace
}  // namespace pal
