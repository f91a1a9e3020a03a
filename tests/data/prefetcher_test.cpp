#include "data/batches/prefetcher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

namespace pal {
namespace {

/// Batches of three items that note which batch they belong to.
class Numbers {
 public:
  Numbers(int64_t workers, int64_t depth)
      : numbers_(static_cast<size_t>(depth + 1)),
        made_(numbers_.size()),
        prefetcher_(workers, depth,
                    {[this](int64_t number, int64_t slot) {
                       numbers_[static_cast<size_t>(slot)] = -1;
                       if (number == refused) throw std::runtime_error("refused");
                       numbers_[static_cast<size_t>(slot)] = number;
                       made_[static_cast<size_t>(slot)] = 0;
                       return 3;
                     },
                     [this](int64_t, int64_t slot, int64_t item) {
                       made_[static_cast<size_t>(slot)] += 1 << item;
                     }}) {}

  /// The number of a batch that was made whole, else -1.
  int64_t take(int64_t number, int64_t end = 100) {
    const auto slot = static_cast<size_t>(prefetcher_.take(number, end));
    return made_[slot] == 7 ? numbers_[slot] : -1;
  }

  int64_t refused = -1;  ///< batch that cannot be begun

 private:
  std::vector<int64_t> numbers_;
  std::vector<std::atomic<int>> made_;
  Prefetcher prefetcher_;
};

TEST(Prefetcher, GivesEachBatchWhole) {
  for (const int64_t workers : {0, 1, 2, 8})
    for (const int64_t depth : {0, 1, 4}) {
      Numbers numbers(workers, depth);
      for (int64_t number = 0; number < 100; ++number) ASSERT_EQ(numbers.take(number), number);
      for (const int64_t number : {0, 1, 1, 3, 2, 3, 50, 49, 99, 0}) {
        ASSERT_EQ(numbers.take(number), number) << workers << " " << depth;
      }
    }
}

TEST(Prefetcher, GivesABatchBeyondTheEnd) {
  Numbers numbers(2, 3);
  EXPECT_EQ(numbers.take(4, 5), 4);
  EXPECT_EQ(numbers.take(5, 5), 5);
}

TEST(Prefetcher, GoesOnAfterABatchThatCannotBeBegun) {
  for (const int64_t workers : {1, 3})
    for (const int64_t wanted : {3, 4, 5, 6}) {
      Numbers numbers(workers, 2);
      EXPECT_EQ(numbers.take(3), 3);
      numbers.refused = 6;
      EXPECT_THROW(numbers.take(4), std::runtime_error);
      EXPECT_THROW(numbers.take(4), std::runtime_error);
      numbers.refused = -1;
      EXPECT_EQ(numbers.take(wanted), wanted);
      EXPECT_EQ(numbers.take(wanted + 1), wanted + 1);
    }
}

}  // namespace
}  // namespace pal
