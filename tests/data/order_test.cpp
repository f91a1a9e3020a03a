#include "data/batches/order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "data/batches/validation_split.h"
#include "runtime/error.h"

namespace pal {
namespace {

TEST(Order, PermutesByTheKey) {
  for (const int64_t count : {1, 2, 7, 1000}) {
    const auto order = epoch_order(count, 5, 0);
    const std::set<int64_t> distinct(order.begin(), order.end());
    EXPECT_EQ(static_cast<int64_t>(distinct.size()), count);
    EXPECT_EQ(*distinct.rbegin(), count - 1);
    EXPECT_EQ(epoch_order(count, 5, 0), order);
  }
  EXPECT_NE(epoch_order(1000, 5, 0), epoch_order(1000, 5, 1));
  EXPECT_NE(epoch_order(1000, 5, 0), epoch_order(1000, 6, 0));
  EXPECT_NE(epoch_order(1000, 5, 0), split_order(1000, 5));
  EXPECT_THROW(epoch_order(0, 5, 0), Error);
  EXPECT_THROW(epoch_order(10, 5, -1), Error);
}

TEST(Order, IsUniform) {
  // 6 orders of 3 over 6,000 seeds: 1,000 each, standard deviation 29.
  std::map<std::vector<int64_t>, int> seen;
  for (uint64_t seed = 0; seed < 6000; ++seed) ++seen[epoch_order(3, seed, 0)];
  EXPECT_EQ(seen.size(), 6U);
  for (const auto& [order, times] : seen) EXPECT_NEAR(times, 1000, 120);
}

TEST(Validation, SplitsOffTheEndOfAPermutation) {
  const ValidationSplit standard = split_validation("set", 60000, 0, 1);
  EXPECT_EQ(standard.validation.size(), 5000U);
  EXPECT_EQ(standard.train.size(), 55000U);
  std::set<int64_t> all(standard.train.begin(), standard.train.end());
  all.insert(standard.validation.begin(), standard.validation.end());
  EXPECT_EQ(all.size(), 60000U);
  EXPECT_TRUE(std::is_sorted(standard.train.begin(), standard.train.end()));
  const auto order = split_order(60000, 1);
  EXPECT_EQ(std::set<int64_t>(order.end() - 5000, order.end()),
            std::set<int64_t>(standard.validation.begin(), standard.validation.end()));
  EXPECT_EQ(split_validation("set", 200, 0, 1).validation.size(), 20U);
  EXPECT_EQ(split_validation("set", 200, 0.25, 1).validation.size(), 50U);
  EXPECT_EQ(split_validation("set", 200, 7, 1).validation.size(), 7U);
  EXPECT_NE(split_validation("set", 200, 7, 1).validation,
            split_validation("set", 200, 7, 2).validation);
  EXPECT_THROW(split_validation("set", 200, 200, 1), Error);
  EXPECT_THROW(split_validation("set", 200, -1, 1), Error);
  EXPECT_THROW(split_validation("set", 200, std::nan(""), 1), Error);
  EXPECT_THROW(split_validation("set", 3, 0, 1), Error);
}

}  // namespace
}  // namespace pal
