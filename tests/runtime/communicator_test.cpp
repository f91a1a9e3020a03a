#include "runtime/communicator/communicator.h"

#include <gtest/gtest.h>

#include "tests/support/thread_ranks.h"

namespace pal {
namespace {

TEST(Communicator, GathersBytesOfAnyNumber) {
  testing::on_ranks(3, [](Communicator& ranks) {
    const std::vector<uint8_t> mine(static_cast<size_t>(2 * ranks.rank()),
                                    static_cast<uint8_t>(ranks.rank()));
    const auto all = all_gather_bytes(ranks, mine);
    EXPECT_EQ(all, (std::vector<std::vector<uint8_t>>{{}, {1, 1}, {2, 2, 2, 2}}));
    EXPECT_EQ(all_gather_bytes(ranks, {}), std::vector<std::vector<uint8_t>>(3));
  });
}

TEST(Communicator, GathersTexts) {
  testing::on_ranks(3, [](Communicator& ranks) {
    EXPECT_EQ(all_gather_texts(ranks, std::string(static_cast<size_t>(ranks.rank()), 'x')),
              (std::vector<std::string>{"", "x", "xx"}));
  });
}

TEST(Communicator, FindsTheLargestOfEachNumber) {
  testing::on_ranks(3, [](Communicator& ranks) {
    const double rank = ranks.rank();
    EXPECT_EQ(max_over_ranks(ranks, {rank, -rank, rank == 1.0 ? 5.0 : 0.0}),
              (std::vector<double>{2.0, 0.0, 5.0}));
  });
}

TEST(Communicator, SumsAndFlags) {
  testing::on_ranks(4, [](Communicator& ranks) {
    EXPECT_EQ(sum_over_ranks(ranks, ranks.rank()), 6.0);
    EXPECT_TRUE(any_rank(ranks, ranks.rank() == 2));
    EXPECT_FALSE(any_rank(ranks, false));
  });
}

TEST(Communicator, OneProcessAlone) {
  SingleCommunicator single;
  EXPECT_EQ(sum_over_ranks(single, 2.5), 2.5);
  EXPECT_EQ(all_gather_bytes(single, std::vector<uint8_t>{7, 8}),
            (std::vector<std::vector<uint8_t>>{{7, 8}}));
}

}  // namespace
}  // namespace pal
