// Which engines cuDNN offers for our convolutions on GPUs that are not here: it plans for a
// described device as for a real one, and so far no GPU is needed.
#include "kernels/library/cudnn_plans.cuh"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <map>

#if CUDNN_VERSION >= 90800

namespace pal::cudnn {
namespace {

/// A GPU, and what cuDNN wants to know of it.
struct Gpu {
  const char* name;
  int capability, multiprocessors, shared_memory, l2;
  int64_t memory;
};
constexpr Gpu kGpus[] = {{"NVIDIA A100-SXM4-40GB", 800, 108, 166912, 41943040, 42505273344},
                         {"NVIDIA H200", 900, 132, 232448, 62914560, 150754820096}};

/// In its own words.
std::string description(const Gpu& gpu) {
  return fmt::format(
      R"({{"deviceName":"{}","deviceVer":{},"multiProcessorCount":{},)"
      R"("maxSharedMemoryPerBlockOptin":{},"l2CacheSize":{},"maxGridSize":[2147483647,65535,65535],)"
      R"("maxBlockSize":[1024,1024,64],"regsPerBlock":65536,"warpSize":32,)"
      R"("maxSharedMemoryPerBlock":49152,"reservedSharedMemoryPerBlock":1024,)"
      R"("maxRegistersPerSM":65536,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,)"
      R"("maxThreadsPerSM":2048,"isTccDriver":0,"supportCoopLaunch":1,"cudaDeviceId":0,)"
      R"("driverVer":13000,"totalGlobalMem":{},"pciDeviceId":25,)"
      R"("smClockRateKHz":1410000,"memClockRateKHz":1593000}})",
      gpu.name, gpu.capability, gpu.multiprocessors, gpu.shared_memory, gpu.l2, gpu.memory);
}

/// A described GPU; undefined if this cuDNN does not understand the description.
Descriptor device(const std::string& text) {
  Descriptor d(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  d.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, std::vector<char>(text.begin(), text.end()));
  return d.try_finalize() == CUDNN_STATUS_SUCCESS ? std::move(d) : Descriptor();
}

class CudnnPlans : public ::testing::TestWithParam<Gpu> {
 protected:
  void SetUp() override {
    device_ = device(description(GetParam()));
    if (!device_.defined()) GTEST_SKIP() << "SKIPPED: cuDNN " << version() << " plans otherwise";
  }
  Target target() const { return {nullptr, &device_, most_workspace(GetParam().memory)}; }
  std::vector<Plan> plans(const Problem& problem, size_t most,
                          const std::optional<std::string>& only = {}) {
    std::vector<Plan> found;
    each_plan(problem, target(), only, &why_, [&](Plan plan) {
      found.push_back(std::move(plan));
      return found.size() == most;
    });
    return found;
  }

  Descriptor device_;
  std::string why_;
};

Problem problem(Pass pass, const Shape& x, int64_t out, const ConvGeometry& g, DType dtype,
                bool tf32) {
  return {pass, x, g.out_shape(x, out), g, dtype, dtype, tf32, false};
}

constexpr Pass kPasses[] = {Pass::forward, Pass::backward_data, Pass::backward_weight};

TEST_P(CudnnPlans, ThereIsOneForEveryConvolution) {
  const std::pair<int64_t, int64_t> channels[] = {{1, 1}, {3, 64}, {24, 130}, {130, 24}, {64, 64}};
  const Shape images[] = {{1, 5, 9, 1}, {8, 8, 7, 1}, {64, 28, 28, 1}, {2, 57, 33, 1}};
  for (const ConvGeometry& g : {ConvGeometry{1, 2, 0}, {3, 1, 1}, {3, 2, 1}, {3, 1, 0}, {7, 2, 3}})
    for (const auto& [in, out] : channels)
      for (const Shape& image : images)
        for (const Pass pass : kPasses)
          for (const auto& [dtype, tf32] :
               {std::pair{DType::f32, false}, {DType::f32, true}, {DType::bf16, false}}) {
            const Problem p = problem(pass, image.with_last(in), out, g, dtype, tf32);
            const std::vector<Plan> found = plans(p, 1);
            ASSERT_EQ(found.size(), 1U) << p.text() << ": " << why_;
            EXPECT_LE(found[0].workspace, target().most_workspace) << p.text();
          }
}

TEST_P(CudnnPlans, AreFoundAgainByName) {
  for (const Pass pass : kPasses) {
    const Problem p = problem(pass, {8, 56, 56, 64}, 64, {3, 1, 1}, DType::bf16, false);
    const std::vector<Plan> some = plans(p, 8);
    ASSERT_EQ(some.size(), 8U) << p.text() << ": " << why_;
    for (const Plan& plan : some) {
      const std::vector<Plan> again = plans(p, 9, plan.name());
      ASSERT_EQ(again.size(), 1U) << plan.name();
      EXPECT_EQ(again[0].name(), plan.name());
      EXPECT_EQ(again[0].workspace, plan.workspace);
    }
    EXPECT_TRUE(plans(p, 1, "engine 4711").empty());
    EXPECT_TRUE(plans(p, 1, some[0].name() + " 4711=1").empty());
  }
}

/// "engine 62" of "engine 62 2=4 13=0".
std::string engine_of(const Plan& plan) {
  return plan.name().substr(0, plan.name().find(' ', std::string("engine ").size()));
}

TEST_P(CudnnPlans, TellTheSettingsOfAnEngineApart) {
  for (const Pass pass : kPasses) {
    const Problem p = problem(pass, {8, 56, 56, 64}, 64, {3, 1, 1}, DType::bf16, false);
    const std::vector<Plan> all = plans(p, 99);
    std::map<std::string, std::vector<std::string>> by_engine;
    for (const Plan& plan : all) by_engine[engine_of(plan)].push_back(plan.name());
    EXPECT_LT(by_engine.size(), all.size()) << p.text();
    EXPECT_TRUE(std::any_of(all.begin(), all.end(), [](const Plan& plan) {
      return plan.name().find('=') != std::string::npos;
    })) << p.text();
    // An engine's number alone, which is all that older choices say, means the best estimate's
    // settings, which is what it meant to them.
    for (const auto& [engine, names] : by_engine) {
      const std::vector<Plan> found = plans(p, 99, engine);
      ASSERT_EQ(found.size(), names.size()) << engine;
      EXPECT_EQ(found[0].name(), names[0]);
    }
  }
}

TEST_P(CudnnPlans, AreAsExactAsAskedFor) {
  for (const Pass pass : kPasses) {
    const Shape x = {8, 56, 56, 64};
    const Problem exact = problem(pass, x, 64, {3, 1, 1}, DType::f32, false);
    const Problem rounded = problem(pass, x, 64, {3, 1, 1}, DType::f32, true);
    ASSERT_FALSE(plans(rounded, 1).empty()) << rounded.text();
    // TF32's engines come first if they may, and are not among the others.
    EXPECT_TRUE(plans(exact, 1, plans(rounded, 1)[0].engine).empty()) << exact.text();
    // Allowing more engines never makes them fewer.
    Problem any_order = exact;
    any_order.allow_nondeterministic = true;
    EXPECT_GE(plans(any_order, 99).size(), plans(exact, 99).size()) << exact.text();
  }
}

TEST_P(CudnnPlans, DivideABatchThatWouldNeedTooMuchScratchMemory) {
  const bool large_memory = GetParam().memory > int64_t{64} << 30;
  EXPECT_EQ(target().most_workspace, (large_memory ? int64_t{1024} : int64_t{256}) << 20);
  // f32 without TF32 is computed in another layout, into which all images are copied.
  const Problem large = problem(Pass::backward_data, {large_memory ? 280 : 70, 224, 224, 3}, 64,
                                {3, 1, 1}, DType::f32, false);
  const int64_t some = images_at_a_time(large, target());
  EXPECT_LT(some, large.x[0]);
  EXPECT_EQ(some % 8, 0);
  const Problem part = with_images(large, some);
  EXPECT_EQ(part.x, Shape({some, 224, 224, 3}));
  EXPECT_EQ(part.y, Shape({some, 224, 224, 64}));
  EXPECT_EQ(images_at_a_time(part, target()), some);
  ASSERT_EQ(plans(part, 1).size(), 1U) << why_;
  // That many images have an engine that all together have not.
  const std::vector<Plan> of_all = plans(large, 1);
  EXPECT_TRUE(of_all.empty() || plans(part, 1)[0].name() != of_all[0].name());
  EXPECT_GT(plans(part, 1)[0].workspace, target().most_workspace / 4);
  const Problem small = problem(Pass::forward, {8, 28, 28, 64}, 64, {3, 1, 1}, DType::bf16, false);
  EXPECT_EQ(images_at_a_time(small, target()), 8);
}

TEST_P(CudnnPlans, DivideABatchByTheMemoryOfTheGpu) {
  const Problem p =
      problem(Pass::backward_data, {70, 224, 224, 3}, 64, {3, 1, 1}, DType::f32, false);
  const auto images = [&](int64_t memory) {
    return images_at_a_time(p, {nullptr, &device_, most_workspace(memory)});
  };
  EXPECT_GT(images(int64_t{64} << 30), images((int64_t{64} << 30) - 1));
}

std::string name_of_gpu(const ::testing::TestParamInfo<Gpu>& gpu) {
  std::string name = gpu.param.name;
  std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
  return name;
}

INSTANTIATE_TEST_SUITE_P(Gpus, CudnnPlans, ::testing::ValuesIn(kGpus), name_of_gpu);

}  // namespace
}  // namespace pal::cudnn

#endif
