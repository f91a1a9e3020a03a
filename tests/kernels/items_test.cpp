#include "kernels/common/items.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/support/numeric.h"

namespace pal {
namespace {

TEST(Items, QuotientsAreExact) {
  for (const int64_t divisor :
       {int64_t{1}, int64_t{2}, int64_t{3}, int64_t{5}, int64_t{7}, int64_t{12}, int64_t{641},
        int64_t{3072}, int64_t{65535}, int64_t{65537}, int64_t{1} << 30, (int64_t{1} << 30) + 1,
        kMostItems - 1, kMostItems}) {
    const Divisor by(divisor);
    EXPECT_EQ(by.value(), divisor);
    // Multiples and their neighbours are where a rounded reciprocal would fail first.
    const int64_t step = std::max<int64_t>(1, kMostItems / divisor / 1000);
    for (int64_t multiple = 0; multiple <= kMostItems / divisor; multiple += step)
      for (const int64_t number : {multiple * divisor - 1, multiple * divisor,
                                   multiple * divisor + divisor - 1, kMostItems - multiple})
        if (number >= 0 && number <= kMostItems) {
          ASSERT_EQ(by.quotient(static_cast<uint32_t>(number)), number / divisor)
              << number << " by " << divisor;
        }
  }
  for (const int64_t divisor : {int64_t{0}, int64_t{-1}, kMostItems + 1})
    testing::expect_error(ErrorKind::usage, "extent", [&] { Divisor{divisor}; });
}

TEST(Items, PartsCoverEverythingOnce) {
  using Parts = std::vector<std::pair<int64_t, int64_t>>;
  const auto parts = [](int64_t total, int64_t items, int64_t most) {
    Parts found;
    for_each_part(
        total, items,
        [&](int64_t first, int64_t count) {
          found.push_back({first, count});
        },
        most);
    return found;
  };
  EXPECT_EQ(parts(5, 10, kMostItems), (Parts{{0, 5}}));
  EXPECT_EQ(parts(5, 10, 25), (Parts{{0, 2}, {2, 2}, {4, 1}}));
  EXPECT_EQ(parts(2, 10, 10), (Parts{{0, 1}, {1, 1}}));
  EXPECT_EQ(parts(0, 10, 30), Parts{});
  testing::expect_error(ErrorKind::usage, "work items", [&] { parts(2, 11, 10); });
}

}  // namespace
}  // namespace pal
