#include "kernels/library/planned.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/library/platform.h"
#include "layers/models/model.h"
#include "tests/support/random_batch.h"

namespace pal {
namespace {

/// One training step of a preset, so that every convolution and product of its forward and backward
/// passes is planned.
void step(const std::string& arch, DType compute, int64_t count) {
  ModelConfig config = preset(arch);
  config.compute = compute;
  const auto model = build_model(config);
  model->materialise(1);
  const testing::RandomBatch batch(config, {.count = count});
  const auto result = model->forward_backward(batch.images, batch.targets, {});
  EXPECT_TRUE(std::isfinite(result.loss())) << arch;
}

class Planned : public ::testing::TestWithParam<std::tuple<std::string, DType>> {};

// oneDNN's reference implementations are loops in C++, a hundred times slower.
TEST_P(Planned, NothingRunsOnAReferenceImplementation) {
  const auto& [arch, compute] = GetParam();
  if (compute == DType::bf16 && !cpu_has_bf16())
    GTEST_SKIP() << "SKIPPED: this processor has no bf16";
  const size_t before = planned_implementations().size();
  step(arch, compute, preset(arch).image_size > 64 ? 1 : 4);
  const auto planned = planned_implementations();
  EXPECT_GT(planned.size(), before);
  for (const std::string& line : planned) EXPECT_EQ(line.find("ref"), std::string::npos) << line;
}

INSTANTIATE_TEST_SUITE_P(Presets, Planned,
                         ::testing::Combine(::testing::ValuesIn(preset_names()),
                                            ::testing::Values(DType::f32, DType::bf16)),
                         [](const auto& each) {
                           std::string name = std::get<0>(each.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name + "_" + name_of(std::get<1>(each.param));
                         });

}  // namespace
}  // namespace pal
