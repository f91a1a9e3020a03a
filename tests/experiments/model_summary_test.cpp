#include "experiments/model_summary.h"

#include <gtest/gtest.h>

#include "kernels/planned.h"
#include "layers/models/ib_inn.h"
#include "layers/models/resnet.h"
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

TEST(ModelSummary, CountsResNet50) {
  // By hand: per stage the first block, then the others; p pixels, w width.
  int64_t adds = 112 * 112 * 64 * 7 * 7 * 3 + 2048 * 1000;
  int64_t parameters = 64 * 7 * 7 * 3 + 2 * 64;
  int64_t in = 64;
  const int64_t blocks[] = {3, 4, 6, 3};
  for (int stage = 0; stage < 4; ++stage) {
    const int64_t w = int64_t{64} << stage;
    const int64_t p = (int64_t{56} >> stage) * (int64_t{56} >> stage);
    const int64_t p_in = stage == 0 ? p : 4 * p;
    for (int64_t i = 0; i < blocks[stage]; ++i) {
      // The first 1x1 convolution of a stage still sees the size before it.
      adds += (i == 0 ? p_in : p) * in * w + p * 9 * w * w + p * w * 4 * w;
      parameters += in * w + 9 * w * w + 4 * w * w + 2 * (w + w + 4 * w);
      if (i == 0) {
        adds += p * in * 4 * w;
        parameters += in * 4 * w + 2 * 4 * w;
      }
      in = 4 * w;
    }
  }
  EXPECT_EQ(adds, 4'089'184'256);
  EXPECT_EQ(parameters, 23'508'032);
  const ModelSummary model = summarize_model(preset("resnet50"));
  EXPECT_EQ(model.multiply_adds, adds);
  EXPECT_EQ(model.multiply_adds_dense_mixing, 0);
  EXPECT_EQ(model.parameters_network, parameters);
  EXPECT_EQ(model.parameters_total, parameters + 2049 * 1000);
  EXPECT_EQ(model.parameters_total, 25'557'032);
  ASSERT_EQ(model.blocks.size(), 2 + 16 + 1U);
  EXPECT_EQ(model.blocks[0].output, (Shape{1, 112, 112, 64}));
  EXPECT_EQ(model.blocks[1].output, (Shape{1, 56, 56, 64}));
  EXPECT_EQ(model.blocks[17].name, "layer4.2");
  EXPECT_EQ(model.blocks[17].output, (Shape{1, 7, 7, 2048}));
  EXPECT_EQ(model.blocks[18].output, (Shape{1, 1000}));
}

TEST(ModelSummary, CountsWhatAModelHas) {
  for (const char* arch : {"ibinn-mnist", "ibinn-small", "resnet-small"}) {
    const ModelSummary summary = summarize_model(preset(arch));
    const auto model = build_model(preset(arch));
    model->materialise(1);
    EXPECT_EQ(summary.parameters_total, model->parameters().all_values().numel());
    int64_t parameters = 0;
    for (const BlockSummary& block : summary.blocks) parameters += block.parameters;
    const int64_t network = model->parameters().count(ParameterGroup::network);
    EXPECT_EQ(parameters, network);
    const int64_t head = model->has_density() ? 0 : 128 * 10 + 10;
    EXPECT_EQ(summary.parameters_network, network - head);
  }
}

TEST(ModelSummary, PoliciesFollowTheFamily) {
  EXPECT_EQ(policies_of(ModelFamily::flow).size(), 3U);
  EXPECT_EQ(policies_of(ModelFamily::resnet).size(), 2U);
  testing::expect_error(ErrorKind::usage, "a ResNet cannot be inverted", [] {
    (void)activation_bytes(summarize_model(preset("resnet-small")), ActivationPolicy::invert, 1);
  });
}

TEST(ModelSummary, NeedsNoMemoryForParameters) {
  Allocator::cpu().reset_peaks();
  const int64_t before = Allocator::cpu().stats().peak_total;
  summarize_model(preset("ibinn-imagenet"));
  summarize_model(preset("resnet50"));
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

ModelConfig residual() { return preset("resnet-small"); }
/// ResNet-50, shrunk: two stages behind the pooling stem.
ModelConfig bottlenecks() {
  ModelConfig config = preset("resnet50");
  config.image_size = 64;
  config.classes = 10;
  config.blocks = {2, 2};
  config.strides = {1, 2};
  config.widths = {32, 64};
  config.entry_width = 32;
  return config;
}
ModelConfig bottlenecks_in_bf16() {
  ModelConfig config = bottlenecks();
  config.compute = DType::bf16;
  return config;
}

struct MemoryCase {
  const char* name;
  ModelConfig (*config)();
  ActivationPolicy policy;
};

class ActivationBytes : public ::testing::TestWithParam<MemoryCase> {};

/// Peak activations of one training step.
int64_t measured_peak(Model& model, ActivationPolicy policy, int64_t batch) {
  const ModelConfig& config = model.config();
  ChainOptions options;
  options.policies = {policy};
  if (auto* flow = dynamic_cast<IbInn*>(&model)) flow->chain().set_options(options);
  if (auto* net = dynamic_cast<ResNet*>(&model)) net->set_policy(policy);
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
  if (config.compute == DType::bf16 && !cpu_has_bf16())
    GTEST_SKIP() << "SKIPPED: this processor has no bf16";
  const auto model = build_model(config);
  model->materialise(1);
  const auto measured = static_cast<double>(measured_peak(*model, GetParam().policy, kBatch));
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
                      MemoryCase{"matrices", with_matrices, ActivationPolicy::invert},
                      MemoryCase{"residual", residual, ActivationPolicy::store},
                      MemoryCase{"residual", residual, ActivationPolicy::recompute},
                      MemoryCase{"bottlenecks", bottlenecks, ActivationPolicy::store},
                      MemoryCase{"bottlenecks", bottlenecks, ActivationPolicy::recompute},
                      MemoryCase{"bf16", bottlenecks_in_bf16, ActivationPolicy::store},
                      MemoryCase{"bf16", bottlenecks_in_bf16, ActivationPolicy::recompute}),
    [](const auto& each) {
      return std::string(each.param.name) + "_" + name_of(each.param.policy);
    });

}  // namespace
}  // namespace pal
