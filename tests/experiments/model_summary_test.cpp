#include "experiments/model_summary.h"

#include <gtest/gtest.h>

#include "layers/models/ib_inn.h"
#include "runtime/allocator.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

TEST(ModelSummary, CountsThePublishedNetwork) {
  const ModelSummary model = summarize_model(preset("ibinn-imagenet"));
  EXPECT_EQ(model.parameters_network, 55412304);
  EXPECT_EQ(model.parameters_total, 77486672);
  EXPECT_EQ(model.multiply_adds, 6916661248);
  EXPECT_EQ(model.multiply_adds_dense_mixing, 2227212288);
  // The published 9.08 G multiply-adds count the permutations as dense products.
  EXPECT_NEAR(static_cast<double>(model.multiply_adds + model.multiply_adds_dense_mixing), 9.08e9,
              0.01 * 9.08e9);
}

TEST(ModelSummary, CountsWhatAModelHas) {
  for (const char* arch : {"ibinn-mnist", "ibinn-small"}) {
    const ModelSummary summary = summarize_model(preset(arch));
    IbInn model(preset(arch), 1);
    EXPECT_EQ(summary.parameters_network, model.parameters().count(ParameterGroup::network));
    EXPECT_EQ(summary.parameters_total, model.parameters().all_values().numel());
  }
}

TEST(ModelSummary, NeedsNoMemoryForParameters) {
  Allocator::cpu().reset_peaks();
  const int64_t before = Allocator::cpu().stats().peak_total;
  summarize_model(preset("ibinn-imagenet"));
  // The permutation maps are drawn only with the parameters.
  EXPECT_LE(Allocator::cpu().stats().peak_total - before, int64_t{1} << 20);
}

TEST(ModelSummary, CountsMixingMatricesThatAreMultiplied) {
  ModelConfig config = preset("ibinn-mnist");
  const ModelSummary permuted = summarize_model(config);
  config.mixing = MixingKind::orthogonal;
  const ModelSummary multiplied = summarize_model(config);
  EXPECT_EQ(multiplied.multiply_adds - permuted.multiply_adds, permuted.multiply_adds_dense_mixing);
}

/// The published network, shrunk: entry coupling, pointwise coupling, two stages.
ModelConfig with_entry() {
  ModelConfig config = preset("ibinn-imagenet");
  config.image_size = 64;
  config.classes = 10;
  config.blocks = {2, 2};
  config.strides = {1, 2};
  config.widths = {64, 64};
  config.act_norm_init = 1.0;
  config.rank = 0;
  return config;
}
ModelConfig with_matrices() {
  ModelConfig config = preset("ibinn-mnist");
  config.mixing = MixingKind::orthogonal;
  return config;
}
ModelConfig plain_mnist() { return preset("ibinn-mnist"); }
ModelConfig plain_small() { return preset("ibinn-small"); }

struct MemoryCase {
  const char* name;
  ModelConfig (*config)();
  ActivationPolicy policy;
};

class ActivationBytes : public ::testing::TestWithParam<MemoryCase> {};

/// Peak activations of one training step.
int64_t measured_peak(IbInn& model, ActivationPolicy policy, int64_t batch) {
  const ModelConfig& config = model.config();
  ChainOptions options;
  options.policies = {policy};
  model.chain().set_options(options);
  const Tensor x = Tensor::empty({batch, config.image_size, config.image_size, config.channels},
                                 DType::f32, Tag::data);
  for (int64_t i = 0; i < x.numel() / 4; ++i) {
    const auto values = Philox(5, RandomPurpose::test).normal4(static_cast<uint32_t>(i));
    std::copy(values.begin(), values.end(), x.data<float>() + 4 * i);
  }
  const Tensor targets = Tensor::empty({batch, config.classes}, DType::f32, Tag::data);
  targets.fill(0.1);
  model.train_step(x, targets, {});  // plans and shadows are made
  Allocator::cpu().reset_peaks();
  model.train_step(x, targets, {});
  return Allocator::cpu().stats().peak_activations;
}

TEST_P(ActivationBytes, AgreeWithTheAllocator) {
  constexpr int64_t kBatch = 32;
  const ModelConfig config = GetParam().config();
  IbInn model(config, 1);
  const auto measured = static_cast<double>(measured_peak(model, GetParam().policy, kBatch));
  const auto expected =
      static_cast<double>(activation_bytes(summarize_model(config), GetParam().policy, kBatch));
  // What the formula leaves out: scratch of oneDNN and of reductions.
  EXPECT_NEAR(measured / expected, 1.0, 0.1)
      << format_bytes(static_cast<int64_t>(measured)) << " measured, "
      << format_bytes(static_cast<int64_t>(expected)) << " expected";
}

INSTANTIATE_TEST_SUITE_P(
    Policies, ActivationBytes,
    ::testing::Values(MemoryCase{"mnist", plain_mnist, ActivationPolicy::store},
                      MemoryCase{"mnist", plain_mnist, ActivationPolicy::recompute},
                      MemoryCase{"mnist", plain_mnist, ActivationPolicy::invert},
                      MemoryCase{"small", plain_small, ActivationPolicy::store},
                      MemoryCase{"small", plain_small, ActivationPolicy::invert},
                      MemoryCase{"entry", with_entry, ActivationPolicy::store},
                      MemoryCase{"entry", with_entry, ActivationPolicy::recompute},
                      MemoryCase{"entry", with_entry, ActivationPolicy::invert},
                      MemoryCase{"matrices", with_matrices, ActivationPolicy::invert}),
    [](const auto& each) {
      return std::string(each.param.name) + "_" + name_of(each.param.policy);
    });

}  // namespace
}  // namespace pal
