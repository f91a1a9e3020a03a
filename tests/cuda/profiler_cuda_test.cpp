#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "runtime/cuda.h"
#include "runtime/profiler.h"
#include "runtime/tensor.h"

namespace pal::test {
namespace {

class ProfilerCuda : public ::testing::Test {
 protected:
  void SetUp() override {
    Profiler::reset();
    Roofs roofs;
    roofs.bandwidths = {{int64_t{1} << 62, 10.0}};
    roofs.f32 = 100.0;
    roofs.gpu = true;
    Profiler::set_roofs(roofs);
  }
  void TearDown() override {
    Profiler::disable();
    Profiler::reset();
    Profiler::set_roofs({});
  }
  static KernelTotal total(const std::string& name) {
    for (const KernelTotal& one : Profiler::totals())
      if (one.name == name) return one;
    ADD_FAILURE() << "no " << name;
    return {};
  }
  static void work() { Tensor::zeros({1 << 16}, DType::f32, Tag::workspace, cuda_device()); }
  static Device cuda_device() { return parse_device("cuda"); }
};

// More than are kept waiting, so that they are collected in parts.
TEST_F(ProfilerCuda, GroupsAndPartsOfManyScopes) {
  constexpr int kGroups = 9000;
  Profiler::enable();
  for (int i = 0; i < kGroups; ++i) {
    const cuda::ProfileScope group("head");
    {
      const cuda::ProfileScope convolution("conv", 1000, 10);
      const cuda::ProfileScope inside("gemm", 10, 10);
    }
    const cuda::ProfileScope sum("sum", 10);
  }
  EXPECT_EQ(Profiler::totals().size(), 3U);
  for (const char* name : {"head", "conv", "sum"}) {
    EXPECT_EQ(total(name).calls, kGroups) << name;
    EXPECT_TRUE(total(name).gpu) << name;
    EXPECT_GE(total(name).nanoseconds, 0) << name;
  }
  EXPECT_EQ(total("conv").bytes, 1000 * kGroups);
  EXPECT_DOUBLE_EQ(total("conv").roof_nanoseconds, 100.0 * kGroups);
}

TEST_F(ProfilerCuda, TimesAreTheGpusAndHostScopesApart) {
  Profiler::enable(true);
  for (int i = 0; i < 3; ++i) {
    const cuda::ProfileScope scope("fill", 4 << 16);
    work();
  }
  { const ProfileScope host("fill", 10); }
  Profiler::disable();
  int64_t gpu = 0;
  for (const KernelTotal& one : Profiler::totals())
    if (one.gpu) gpu += one.nanoseconds;
  EXPECT_GT(gpu, 0);
  EXPECT_EQ(Profiler::kernel_nanoseconds(), gpu);
  EXPECT_NE(Profiler::table().find("fill (host)"), std::string::npos);
  const auto events = nlohmann::json::parse(Profiler::chrome_trace())["traceEvents"];
  double end = 0.0;
  int calls = 0;
  for (const auto& event : events) {
    if (event["ph"] != "X" || event["pid"] != 1) continue;
    ++calls;
    // One after the other in the stream; times are rounded to nanoseconds.
    EXPECT_GE(event["ts"].get<double>(), end - 0.01);
    end = event["ts"].get<double>() + event["dur"].get<double>();
  }
  EXPECT_EQ(calls, 3);
}

}  // namespace
}  // namespace pal::test
