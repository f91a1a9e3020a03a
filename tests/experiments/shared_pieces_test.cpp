#include "experiments/measures/shared_pieces.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/error.h"
#include "tests/experiments/thrown_by.h"
#include "tests/support/thread_ranks.h"

namespace pal {
namespace {

using testing::on_ranks;
using testing::thrown_by;

TEST(SharePieces, AreTakenInTheirOrderByAll) {
  for (const int64_t count : {0, 1, 2, 3, 7, 9}) {
    std::vector<int64_t> wanted, squares;
    for (int64_t i = 0; i < count; ++i) {
      wanted.push_back(i);
      squares.push_back(i * i);
    }
    std::vector<std::vector<int64_t>> pieces(3), values(3), made(3);
    on_ranks(3, [&](Communicator& ranks) {
      const auto r = static_cast<size_t>(ranks.rank());
      share_pieces(
          &ranks, count,
          [&](int64_t piece) {
            made[r].push_back(piece);
            return Message().add(std::vector<int64_t>{piece * piece});
          },
          [&](int64_t piece, Message& message) {
            pieces[r].push_back(piece);
            values[r].push_back(message.take<int64_t>().at(0));
          });
    });
    for (size_t r = 0; r < 3; ++r) {
      EXPECT_EQ(pieces[r], wanted);
      EXPECT_EQ(values[r], squares);
      for (const int64_t piece : made[r]) EXPECT_EQ(piece % 3, static_cast<int64_t>(r));
    }
    std::vector<int64_t> alone;
    share_pieces(
        nullptr, count, [](int64_t) { return Message(); },
        [&](int64_t piece, Message&) { alone.push_back(piece); });
    EXPECT_EQ(alone, wanted);
  }
}

TEST(SharePieces, WhatOneThrowsIsThrownOnAll) {
  // In an early round and in the last, by the maker and by who takes.
  for (const bool taking : {false, true})
    for (const int64_t bad : {1, 6}) {
      std::vector<std::string> thrown(3);
      on_ranks(3, [&](Communicator& ranks) {
        const auto fail_at = [&](int64_t piece) {
          if (piece == bad) fail(ErrorKind::numerics, "piece {}", piece);
        };
        thrown[static_cast<size_t>(ranks.rank())] = thrown_by([&] {
          share_pieces(
              &ranks, 7,
              [&](int64_t piece) {
                if (!taking) fail_at(piece);
                return Message();
              },
              [&](int64_t piece, Message&) {
                if (taking && ranks.rank() == 1) fail_at(piece);
              });
        });
      });
      EXPECT_EQ(thrown, std::vector<std::string>(3, "5: piece " + std::to_string(bad)));
    }
}

}  // namespace
}  // namespace pal
