#include "runtime/communicator/ranks.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <mutex>
#include <optional>

#include "runtime/communicator/gloo_communicator.h"
#include "runtime/communicator/rendezvous.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "tests/support/numeric.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

RankSpec spec_of(const TemporaryFolder& folder, int rank, int size) {
  RankSpec spec;
  spec.environment.launcher = "test";
  spec.environment.rank = rank;
  spec.environment.size = size;
  spec.environment.job = "job";
  spec.output = folder.path() + "/run";
  spec.version = "1";
  spec.patience = {.join_seconds = 5.0, .silent_seconds = 4.0, .beat_seconds = 0.1};
  // The process of all these ranks must live on.
  spec.grace_seconds = 1000.0;
  return spec;
}

/// What became of each rank: the text of its error, or nothing.
using Outcomes = std::vector<std::optional<std::pair<ErrorKind, std::string>>>;

/// Runs ranks in threads of this process, each with a connection of its own.
Outcomes run_ranks(int size, const std::function<void(RankSpec&)>& change,
                   const std::function<void(Ranks&)>& body) {
  const TemporaryFolder folder;
  Outcomes outcomes(static_cast<size_t>(size));
  std::vector<std::jthread> threads;
  for (int r = 0; r < size; ++r)
    threads.emplace_back([&, r] {
      RankSpec spec = spec_of(folder, r, size);
      change(spec);
      try {
        Ranks ranks(spec);
        ranks.run([&] {
          body(ranks);
          return 0;
        });
      } catch (const Error& error) {
        outcomes[static_cast<size_t>(r)].emplace(error.kind(), error.what());
      }
    });
  threads.clear();
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  return outcomes;
}

void expect_fine(const Outcomes& outcomes) {
  for (const auto& outcome : outcomes)
    if (outcome) ADD_FAILURE() << outcome->second;
}

class RanksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (cpu_collectives().empty()) GTEST_SKIP() << "SKIPPED: this build has no Gloo";
  }
};

TEST_F(RanksTest, SumsGathersAndBroadcasts) {
  for (const int size : {1, 2, 3, 4}) {
    std::mutex mutex;
    std::vector<std::vector<float>> sums;
    expect_fine(run_ranks(
        size, [](RankSpec&) {},
        [&](Ranks& ranks) {
          for (const int64_t count : {1, 2, 7, 100000}) {
            const Tensor values = Tensor::empty({count}, DType::f32, Tag::workspace, Device());
            for (int64_t i = 0; i < count; ++i)
              values.data<float>()[i] = std::sin(static_cast<float>(i * size + ranks.rank()));
            const Tensor started = values.clone();
            ranks.host().start_all_reduce(started);
            ranks.host().all_reduce(values);
            ranks.host().finish();
            std::vector<float> sum(values.data<float>(), values.data<float>() + count);
            EXPECT_EQ(sum,
                      std::vector<float>(started.data<float>(), started.data<float>() + count));
            for (int64_t i = 0; i < count; ++i) {
              double wanted = 0.0;
              for (int r = 0; r < size; ++r) wanted += std::sin(static_cast<float>(i * size + r));
              ASSERT_NEAR(sum[static_cast<size_t>(i)], wanted, 1e-5);
            }
            const std::lock_guard lock(mutex);
            if (count == 100000) sums.push_back(sum);
          }
          const Tensor all = Tensor::zeros({size, 3}, DType::f64, Tag::workspace, Device());
          const Tensor mine = Tensor::zeros({3}, DType::f64, Tag::workspace, Device());
          mine.fill(ranks.rank());
          ranks.host().all_gather(mine, all);
          for (int r = 0; r < size; ++r) EXPECT_EQ(all.data<double>()[3 * r + 2], r);
          ranks.host().broadcast(mine, size - 1);
          EXPECT_EQ(mine.item(0), size - 1);
          const Tensor narrow = Tensor::zeros({5}, DType::bf16, Tag::workspace, Device());
          narrow.fill(1.5);
          ranks.host().all_reduce(narrow);
          EXPECT_EQ(narrow.to(DType::f64).item(4), 1.5 * size);
        }));
    for (const auto& sum : sums) EXPECT_EQ(sum, sums[0]);
  }
}

TEST_F(RanksTest, AlsoMeetAtAnAddress) {
  const int port = Listener(0).port();
  expect_fine(run_ranks(
      3,
      [&](RankSpec& spec) {
        spec.environment.address = "localhost";
        spec.environment.port = port;
      },
      [](Ranks& ranks) {
        EXPECT_EQ(sum_over_ranks(ranks.host(), 1.0), 3.0);
        EXPECT_EQ(ranks.self().local_rank, ranks.rank());
        EXPECT_EQ(ranks.self().local_size, 3);
      }));
}

TEST_F(RanksTest, AnErrorOfOneEndsTheOthersByItsName) {
  const Outcomes outcomes = run_ranks(
      3, [](RankSpec&) {},
      [](Ranks& ranks) {
        ranks.set_step(7);
        // All know their step.
        (void)sum_over_ranks(ranks.host(), 1.0);
        if (ranks.rank() == 1) fail(ErrorKind::data, "picture.jpg: broken");
        (void)sum_over_ranks(ranks.host(), 1.0);
        (void)sum_over_ranks(ranks.host(), 1.0);
      });
  EXPECT_EQ(outcomes[1]->second, "picture.jpg: broken");
  for (const size_t r : {0, 2}) {
    ASSERT_TRUE(outcomes[r]);
    EXPECT_EQ(outcomes[r]->first, ErrorKind::peer);
    EXPECT_TRUE(outcomes[r]->second.starts_with("rank 1 (")) << outcomes[r]->second;
    EXPECT_TRUE(outcomes[r]->second.ends_with("lost at step 7: picture.jpg: broken"))
        << outcomes[r]->second;
  }
}

TEST_F(RanksTest, WhoLivesButDoesNotArriveIsNamed) {
  const Outcomes outcomes = run_ranks(
      3, [](RankSpec&) {},
      [](Ranks& ranks) {
        (void)sum_over_ranks(ranks.host(), 1.0);
        ranks.set_step(3);
        ranks.set_wait(1.0);
        if (ranks.rank() != 2) (void)sum_over_ranks(ranks.host(), 1.0);
        for (int i = 0; i < 200; ++i) {
          std::this_thread::sleep_for(std::chrono::milliseconds(50));
          ranks.check();
        }
      });
  for (const auto& outcome : outcomes) {
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->first, ErrorKind::peer);
    EXPECT_TRUE(outcome->second.starts_with("rank 2 (")) << outcome->second;
    EXPECT_NE(outcome->second.find("lost at step 3: alive, but the others have waited for it"),
              std::string::npos)
        << outcome->second;
  }
}

TEST_F(RanksTest, WhoIsSlowIsWaitedFor) {
  expect_fine(run_ranks(
      3, [](RankSpec& spec) { spec.patience.wait_seconds = 30.0; },
      [](Ranks& ranks) {
        if (ranks.rank() == 2) std::this_thread::sleep_for(std::chrono::milliseconds(1500));
        (void)sum_over_ranks(ranks.host(), 1.0);
        ranks.check();
      }));
}

TEST_F(RanksTest, ADifferenceIsNamed) {
  const Outcomes outcomes = run_ranks(
      3, [](RankSpec&) {},
      [](Ranks& ranks) {
        ranks.expect_agreement({{"seed", "1"}, {"beta", "2"}});
        ranks.expect_agreement({{"seed", "1"}, {"data", ranks.rank() == 2 ? "b" : "a"}});
      });
  for (const auto& outcome : outcomes) {
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->first, ErrorKind::usage);
    EXPECT_NE(outcome->second.find("differs from rank 0 in data: it has \"b\", rank 0 \"a\""),
              std::string::npos)
        << outcome->second;
  }
}

TEST_F(RanksTest, WhoDoesNotArriveIsNamed) {
  const TemporaryFolder folder;
  RankSpec spec = spec_of(folder, 0, 3);
  spec.patience.join_seconds = 0.5;
  expect_error(ErrorKind::environment, "ranks: 2 of 3 did not arrive within 0.5 s: 1, 2;",
               [&] { Ranks ranks(spec); });
  spec.environment.rank = 1;
  expect_error(ErrorKind::environment, "rank 0 was not reached", [&] { Ranks ranks(spec); });
  spec.environment.address = "no.such.name.invalid";
  spec.environment.port = 1;
  expect_error(ErrorKind::environment, "the name no.such.name.invalid is not known",
               [&] { Ranks ranks(spec); });
}

TEST_F(RanksTest, TwoOfOneNumberAndOtherVersionsAreRefused) {
  const auto refused = [](const std::function<void(RankSpec&)>& change, const std::string& text) {
    const Outcomes outcomes = run_ranks(3, change, [](Ranks&) {});
    for (const auto& outcome : outcomes) {
      ASSERT_TRUE(outcome);
      EXPECT_EQ(outcome->first, ErrorKind::usage) << outcome->second;
      EXPECT_NE(outcome->second.find(text), std::string::npos) << outcome->second;
    }
  };
  refused([](RankSpec& spec) { spec.environment.rank = std::min(spec.environment.rank, 1); },
          "have one number");
  refused(
      [](RankSpec& spec) {
        if (spec.environment.rank == 2) spec.version = "2";
      },
      "runs version 2, rank 0 1");
}

TEST_F(RanksTest, AStaleFileIsNotTaken) {
  const TemporaryFolder folder;
  const std::string file = rendezvous_file(folder.path() + "/run", "job");
  {
    // Nobody listens there any more, or somebody else does.
    const Listener other(0);
    write_rendezvous(file, "job", other.port());
    expect_error(ErrorKind::environment, "what listens there is not rank 0 of this run",
                 [&] { (void)reach_hub(file, "job", 0.3); });
  }
  expect_error(ErrorKind::environment, "rank 0 was not reached",
               [&] { (void)reach_hub(file, "job", 0.3); });
  std::filesystem::remove(file);
  Hub hub(1, "another job", "1", 0);
  write_rendezvous(file, "job", hub.port());
  expect_error(ErrorKind::environment, "not rank 0 of this run",
               [&] { (void)reach_hub(file, "job", 0.3); });
  std::filesystem::remove(file);
}

TEST_F(RanksTest, ATakenPortIsSaid) {
  const Listener other(0);
  expect_error(ErrorKind::environment, "cannot be used",
               [&] { Hub hub(2, "job", "1", other.port()); });
}

}  // namespace
}  // namespace pal
