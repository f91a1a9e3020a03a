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
    Profiler::set_roofs({});
  }
  /// The only total of this name.
  static KernelTotal total(const std::string& name) {
    KernelTotal found;
    for (const KernelTotal& one : Profiler::totals()) {
      if (one.name != name) continue;
      EXPECT_TRUE(found.name.empty()) << "twice: " << name;
      found = one;
    }
    return found;
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

TEST_F(ProfilerTest, ScopesInsideOneWithACostArePartOfIt) {
  Profiler::enable();
  {
    const ProfileScope outer("convolution", 100, 200);
    const ProfileScope inner("gemm", 10, 20);
    const ProfileScope innermost("copy", 1);
  }
  { const ProfileScope after("gemm", 5); }
  EXPECT_EQ(Profiler::totals().size(), 2U);
  EXPECT_EQ(total("convolution").bytes, 100);
  EXPECT_EQ(total("gemm").calls, 1);
  EXPECT_EQ(total("gemm").bytes, 5);
}

TEST_F(ProfilerTest, AGroupKeepsWhatItsScopesLeave) {
  Profiler::enable(true);
  {
    const ProfileScope group("head");
    wait(2);
    for (int i = 0; i < 2; ++i) {
      const ProfileScope part("gemm", 1);
      wait(20);
    }
    const ProfileScope inner_group("losses");
    wait(20);
  }
  EXPECT_EQ(total("gemm").calls, 2);
  EXPECT_GE(total("gemm").nanoseconds, 40'000'000);
  EXPECT_GE(total("losses").nanoseconds, 20'000'000);
  EXPECT_GE(total("head").nanoseconds, 2'000'000);
  // Three waits are not the group's own; the slack is for a busy machine.
  EXPECT_LT(total("head").nanoseconds, total("gemm").nanoseconds);
  // The trace shows the group as long as it was.
  const auto trace = nlohmann::json::parse(Profiler::chrome_trace());
  EXPECT_EQ(trace["traceEvents"].back()["name"], "head");
  EXPECT_GE(trace["traceEvents"].back()["dur"].get<double>(), 62'000.0);
}

TEST_F(ProfilerTest, EqualNamesOfAllThreadsAreOneKernel) {
  Profiler::enable();
  // Two addresses of one name, as literals of two files may be.
  static const char kFirst[] = "copy";
  static const char kSecond[] = "copy";
  { const ProfileScope scope(kFirst, 1); }
  const int64_t before = Profiler::kernel_nanoseconds();
  std::thread([] {
    const ProfileScope scope(kSecond, 2);
    wait(1);
  }).join();
  EXPECT_EQ(total("copy").calls, 2);
  EXPECT_EQ(total("copy").bytes, 3);
  EXPECT_EQ(Profiler::kernel_nanoseconds(), before);
}

Roofs some_roofs() {
  Roofs roofs;
  roofs.bandwidths = {{1000, 10.0}, {int64_t{1} << 62, 2.0}};
  roofs.f32 = 100.0;
  roofs.bf16 = 400.0;
  return roofs;
}

TEST_F(ProfilerTest, ARoofIsTheLongerOfBytesAndOperations) {
  Roofs roofs = some_roofs();
  EXPECT_DOUBLE_EQ(roofs.nanoseconds(1000, 0, Peak::f32), 100.0);
  EXPECT_DOUBLE_EQ(roofs.nanoseconds(2000, 0, Peak::f32), 1000.0);
  EXPECT_DOUBLE_EQ(roofs.nanoseconds(1000, 20'000, Peak::f32), 200.0);
  EXPECT_DOUBLE_EQ(roofs.nanoseconds(0, 40'000, Peak::bf16), 100.0);
  EXPECT_DOUBLE_EQ(roofs.nanoseconds(0, 40'000, Peak::run), 400.0);
  roofs.bf16_run = true;
  EXPECT_DOUBLE_EQ(roofs.nanoseconds(0, 40'000, Peak::run), 100.0);
  roofs.bf16 = 0.0;  // not measured
  EXPECT_DOUBLE_EQ(roofs.nanoseconds(0, 40'000, Peak::run), 400.0);
  EXPECT_EQ(Roofs().nanoseconds(1, 1, Peak::run), 0.0);
}

TEST_F(ProfilerTest, RoofsAreSummedCallByCallAndShown) {
  EXPECT_EQ(Profiler::table().find("of roof"), std::string::npos);
  Profiler::set_roofs(some_roofs());
  Profiler::enable();
  { const ProfileScope small("copy", 1000); }
  {
    const ProfileScope large("copy", 2000);
    wait(1);
  }
  EXPECT_DOUBLE_EQ(total("copy").roof_nanoseconds, 1100.0);
  EXPECT_NE(Profiler::table().find("of roof"), std::string::npos);
  // Roofs of a GPU say nothing about the CPU.
  Profiler::reset();
  Roofs gpu = some_roofs();
  gpu.gpu = true;
  Profiler::set_roofs(gpu);
  { const ProfileScope scope("copy", 1000); }
  EXPECT_EQ(total("copy").roof_nanoseconds, 0.0);
  EXPECT_NE(Profiler::table().find("copy (host)"), std::string::npos);
}

TEST_F(ProfilerTest, PhasesAreInTheTraceAlone) {
  Profiler::enable(true);
  {
    const PhaseScope phase("forward");
    const ProfileScope scope("conv", 4'000'000, 8'000'000);
    wait(1);
  }
  EXPECT_EQ(Profiler::totals().size(), 1U);
  const auto events = nlohmann::json::parse(Profiler::chrome_trace())["traceEvents"];
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0]["cat"], "kernel");
  EXPECT_EQ(events[0]["args"]["bytes"], 4'000'000);
  EXPECT_EQ(events[0]["args"]["flops"], 8'000'000);
  EXPECT_NEAR(events[0]["args"]["GB/s"].get<double>(), 4000.0 / events[0]["dur"].get<double>(),
              0.01);
  EXPECT_EQ(events[1]["cat"], "phase");
  EXPECT_FALSE(events[1].contains("args"));
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
