#include "runtime/waiting.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "runtime/waiting_rule.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

/// Periods of `count` that are spent asleep, all at the same share.
int asleep(WaitingRule& rule, double share, int count) {
  int early = 0;
  for (int i = 0; i < count; ++i) early += rule.next(share) ? 1 : 0;
  return early;
}

TEST(WaitingRule, StaysAwakeWhereProcessorsAreFree) {
  WaitingRule rule;
  EXPECT_EQ(asleep(rule, 0.1, 1000), 0);
  // Bursts do not count.
  for (int i = 0; i < 100; ++i) EXPECT_EQ(asleep(rule, i % 3 == 2 ? 0.0 : 1.5, 1), 0);
}

TEST(WaitingRule, SleepsWhereTheyAreWanted) {
  WaitingRule rule;
  EXPECT_EQ(asleep(rule, 1.3, 2), 0);
  EXPECT_EQ(asleep(rule, 1.3, 1), 1);
  // Nearly always, with looks that become rare.
  EXPECT_GT(asleep(rule, 1.3, 1000), 940);
}

TEST(WaitingRule, WakesWhenTheyAreFreeAgain) {
  WaitingRule rule;
  asleep(rule, 1.3, 100);
  // What is seen asleep says nothing, so at the latest after a rest.
  int periods = 0;
  while (rule.next(0.05)) ++periods;
  EXPECT_LT(periods, WaitingRule::kLongestRest);
  EXPECT_EQ(asleep(rule, 0.05, 100), 0);
  // The next rest is a short one again.
  asleep(rule, 1.3, WaitingRule::kPatience);
  EXPECT_EQ(asleep(rule, 0.05, 100), WaitingRule::kFirstRest - 1);
}

TEST(WaitingRule, AsManyThreadsAsProcessorsAreLeft) {
  // Four processes on two processors, beside our two threads; one; nobody.
  EXPECT_EQ(WaitingRule::threads_beside(1.3, 2), 1);
  EXPECT_EQ(WaitingRule::threads_beside(0.7, 2), 1);
  EXPECT_EQ(WaitingRule::threads_beside(0.0, 2), 2);
  EXPECT_EQ(WaitingRule::threads_beside(0.9, 16), 15);
  EXPECT_EQ(WaitingRule::threads_beside(8.2, 16), 8);
  // What is read is not exact.
  EXPECT_EQ(WaitingRule::threads_beside(16.4, 16), 1);
  EXPECT_EQ(WaitingRule::threads_beside(-0.1, 16), 16);
}

TEST(Waiting, AddsUpWhatThreadsStoodInLine) {
  const testing::TemporaryFolder folder;
  EXPECT_LT(queued_nanoseconds(folder.path() + "/none"), 0.0);
  for (const auto& [task, text] : {std::pair("1", "500 20 3"), {"2", "7 22 9"}, {"3", "broken"}}) {
    std::filesystem::create_directory(folder.path() + "/" + task);
    std::ofstream(folder.path() + "/" + task + "/schedstat") << text;
  }
  EXPECT_EQ(queued_nanoseconds(folder.path()), 42.0);
}

TEST(Waiting, LooksWithoutHarm) {
  for (int i = 0; i < 1000; ++i) adapt_waiting();
  EXPECT_FALSE(sleeps_early() && queued_nanoseconds() < 0.0);
  EXPECT_GE(threads_beside_others(), 1);
}

}  // namespace
}  // namespace pal
