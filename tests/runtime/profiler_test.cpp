#include "runtime/profiler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

namespace pal {
namespace {

void wait(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

/// Starts empty and leaves the profiler off.
class ProfilerTest : public ::testing::Test {
 protected:
  void SetUp() override { Profiler::reset(); }
  void TearDown() override {
    Profiler::disable();
    Profiler::reset();
  }
};

TEST_F(ProfilerTest, CollectsNothingWhileDisabled) {
  { const ProfileScope scope("kernel"); }
  EXPECT_EQ(Profiler::json(), "[]");
}

TEST_F(ProfilerTest, SumsCallsTimesBytesAndOperations) {
  Profiler::enable();
  for (int i = 0; i < 3; ++i) {
    const ProfileScope scope("slow", 1000, 2000);
    wait(4);
  }
  {
    const ProfileScope scope("fast", 10);
    wait(1);
  }
  const auto rows = nlohmann::json::parse(Profiler::json());
  ASSERT_EQ(rows.size(), 2U);
  // The largest time comes first.
  EXPECT_EQ(rows[0]["kernel"], "slow");
  EXPECT_EQ(rows[0]["calls"], 3);
  EXPECT_EQ(rows[0]["bytes"], 3000);
  EXPECT_EQ(rows[0]["flops"], 6000);
  EXPECT_GE(rows[0]["ns"].get<int64_t>(), 12'000'000);
  EXPECT_EQ(rows[1]["kernel"], "fast");
}

TEST_F(ProfilerTest, TheTableHasALinePerKernelAndASum) {
  Profiler::enable();
  {
    const ProfileScope scope("conv", 1 << 20, 1 << 20);
    wait(2);
  }
  const std::string table = Profiler::table();
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 3) << table;
  EXPECT_EQ(table.rfind("kernel", 0), 0U);
  EXPECT_NE(table.find("\nconv "), std::string::npos);
  EXPECT_NE(table.find("100.0%"), std::string::npos);
  EXPECT_NE(table.find("\nall kernels"), std::string::npos);
}

TEST_F(ProfilerTest, TheTraceIsJsonWithEveryCall) {
  Profiler::enable(true);
  { const ProfileScope scope("a"); }
  { const ProfileScope scope("b"); }
  { const ProfileScope scope("a"); }
  const auto trace = nlohmann::json::parse(Profiler::chrome_trace());
  ASSERT_EQ(trace["traceEvents"].size(), 3U);
  EXPECT_EQ(trace["traceEvents"][1]["name"], "b");
  EXPECT_LE(trace["traceEvents"][0]["ts"], trace["traceEvents"][2]["ts"]);
  Profiler::reset();
  EXPECT_EQ(nlohmann::json::parse(Profiler::chrome_trace())["traceEvents"].size(), 0U);
}

}  // namespace
}  // namespace pal
