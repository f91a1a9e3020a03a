// What a plan promises is what a step then needs; limits are kept; impossible ones are refused.
#include "experiments/planning/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/library/platform.h"
#include "layers/models/model.h"
#include "runtime/allocator.h"
#include "runtime/byte_count.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using Kind = MemoryRequest::Kind;

constexpr int64_t kBatch = 32;

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
};

/// Peak activations of one training step for real.
int64_t measured_peak(Model& model, const std::vector<BlockPolicy>& policies) {
  const ModelConfig& config = model.config();
  model.set_policies(policies);
  const Tensor x = testing::random_tensor(
      {kBatch, config.image_size, config.image_size, config.channels}, DType::f32, 5);
  const Tensor images = x.clone(Tag::data);
  const Tensor targets = Tensor::empty({kBatch, config.classes}, DType::f32, Tag::data);
  targets.fill(0.1);
  model.forward_backward(images, targets, {});  // plans and shadows are made
  Allocator::cpu().reset_peaks();
  const int64_t before = Allocator::cpu().stats().peak_activations;
  model.forward_backward(images, targets, {});
  return Allocator::cpu().stats().peak_activations - before;
}

class MemoryPlans : public ::testing::TestWithParam<MemoryCase> {
 protected:
  void SetUp() override {
    config_ = GetParam().config();
    if (config_.compute == DType::bf16 && !cpu_has_bf16())
      GTEST_SKIP() << "SKIPPED: this processor has no bf16";
    model_ = build_model(config_);
    model_->materialise(1);
  }
  void expect_true(const std::vector<BlockPolicy>& policies, int64_t promised,
                   const std::string& what) {
    const int64_t measured = measured_peak(*model_, policies);
    // What plans leave out: scratch of libraries and of reductions.
    EXPECT_NEAR(static_cast<double>(measured) / static_cast<double>(promised), 1.0, 0.05)
        << what << ": " << format_bytes(measured) << " measured, " << format_bytes(promised)
        << " promised";
  }

  ModelConfig config_;
  std::unique_ptr<Model> model_;
};

TEST_P(MemoryPlans, UniformPoliciesNeedWhatIsCounted) {
  StepMemory memory(config_, kBatch, Device());
  EXPECT_EQ(memory.blocks(), model_->policy_blocks());
  for (const ActivationPolicy policy : policies_of(config_.family))
    for (const TapeForm form : kTapeForms) {
      const std::vector<BlockPolicy> policies = {{policy, form}};
      expect_true(policies, memory.peak(policies), name_of(policies[0]));
    }
}

TEST_P(MemoryPlans, CopiesOfWeightsAreThoseThatStepsMake) {
  const MemoryPlan plan = plan_memory(config_, kBatch, Device(), {Kind::automatic});
  const auto parameter_bytes = [] {
    return Allocator::of(Device()).stats().current_of(Tag::parameters);
  };
  const int64_t before = parameter_bytes();
  (void)measured_peak(*model_, plan.policies);
  // Act norms have tables there, too: 1.5 % where our own products leave few copies.
  const auto made = static_cast<double>(parameter_bytes() - before);
  EXPECT_NEAR(static_cast<double>(plan.copy_bytes) / made, 1.0, 0.02);
  EXPECT_GT(plan.copy_bytes, 0);
}

TEST_P(MemoryPlans, PlansKeepTheirPromises) {
  const auto plan = [&](MemoryRequest request) {
    return plan_memory(config_, kBatch, Device(), request);
  };
  const MemoryPlan least = plan({Kind::min});
  const MemoryPlan automatic = plan({Kind::automatic});
  const MemoryPlan most = plan({Kind::max});
  EXPECT_TRUE(least.rebuilds());
  EXPECT_FALSE(most.rebuilds());
  EXPECT_EQ(most.recomputed, 0.0);
  EXPECT_EQ(most.extra_work, 0.0);
  EXPECT_LE(least.peak_bytes, automatic.peak_bytes);
  EXPECT_LE(automatic.peak_bytes, most.peak_bytes);
  EXPECT_LE(automatic.extra_work, least.extra_work);
  expect_true(automatic.policies, automatic.peak_bytes, "auto");

  // More memory never costs time, and limits are kept.
  double before = least.extra_work;
  for (const int64_t eighths : {0, 2, 5, 8}) {
    const int64_t limit = least.peak_bytes + eighths * (most.peak_bytes - least.peak_bytes) / 8;
    const MemoryPlan limited = plan({Kind::bytes, limit});
    EXPECT_LE(limited.peak_bytes, limit);
    EXPECT_LE(limited.extra_work, before);
    before = limited.extra_work;
    if (eighths == 5) expect_true(limited.policies, limited.peak_bytes, limited.summary());
  }
  EXPECT_EQ(before, 0.0);
}

TEST_P(MemoryPlans, WhatDoesNotFitIsRefusedWithWhatWould) {
  const int64_t least = plan_memory(config_, kBatch, Device(), {Kind::min}).peak_bytes;
  const int64_t less = plan_memory(config_, kBatch / 4, Device(), {Kind::min}).peak_bytes;
  int fits = 0;
  try {
    (void)plan_memory(config_, kBatch, Device(), {Kind::bytes, less});
    ADD_FAILURE() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::environment);
    const std::string text = error.what();
    const std::string before = "; batches of ";
    const size_t at = text.find(before);
    ASSERT_NE(at, std::string::npos) << text;
    fits = std::stoi(text.substr(at + before.size()));
  }
  EXPECT_GE(fits, kBatch / 4);
  EXPECT_LE(plan_memory(config_, fits, Device(), {Kind::min}).peak_bytes, less);
  expect_error(ErrorKind::environment, "the least is " + format_bytes(least), [&] {
    (void)plan_memory(config_, kBatch, Device(), {Kind::bytes, least - 1});
  });
  expect_error(ErrorKind::environment, "not even one image fits", [&] {
    (void)plan_memory(config_, kBatch, Device(), {Kind::bytes, 1});
  });
}

INSTANTIATE_TEST_SUITE_P(
    Networks, MemoryPlans,
    ::testing::Values(MemoryCase{"mnist", plain_mnist}, MemoryCase{"small", plain_small},
                      MemoryCase{"entry", with_entry}, MemoryCase{"matrices", with_matrices},
                      MemoryCase{"residual", residual}, MemoryCase{"bottlenecks", bottlenecks},
                      MemoryCase{"bf16", bottlenecks_in_bf16}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(MemoryPlan, ReadsRequests) {
  EXPECT_EQ(MemoryRequest::parse("auto").kind, Kind::automatic);
  EXPECT_EQ(MemoryRequest::parse("min").kind, Kind::min);
  EXPECT_EQ(MemoryRequest::parse("max").kind, Kind::max);
  const MemoryRequest bytes = MemoryRequest::parse("1.5MiB");
  EXPECT_EQ(bytes.kind, Kind::bytes);
  EXPECT_EQ(bytes.bytes, 3 << 19);
  for (const char* wrong : {"", "some", "-1", "12 parsecs", "0"})
    expect_error(ErrorKind::usage, "expected ", [&] { (void)MemoryRequest::parse(wrong); });
}

TEST(MemoryPlan, NeedsNoMemoryItself) {
  Allocator::cpu().reset_peaks();
  const int64_t before = Allocator::cpu().stats().peak_total;
  (void)plan_memory(preset("ibinn-imagenet"), 64, Device(), {Kind::automatic});
  EXPECT_LE(Allocator::cpu().stats().peak_total - before, int64_t{1} << 20);
}

/// The peak of inversion does not depend on depth, and that of plans built on it neither.
TEST(MemoryPlan, IsFlatInDepth) {
  ModelConfig config = preset("ibinn-imagenet");
  const MemoryPlan shallow = plan_memory(config, 4, Device(), {Kind::automatic});
  const int64_t inverted = StepMemory(config, 4, Device()).peak({ActivationPolicy::invert});
  for (int64_t& blocks : config.blocks) blocks *= 4;
  EXPECT_EQ(StepMemory(config, 4, Device()).peak({ActivationPolicy::invert}), inverted);
  const MemoryPlan deep = plan_memory(config, 4, Device(), {Kind::automatic});
  EXPECT_LE(deep.peak_bytes, static_cast<int64_t>(1.5 * static_cast<double>(inverted)) + 1);
  EXPECT_LE(shallow.peak_bytes, static_cast<int64_t>(1.5 * static_cast<double>(inverted)) + 1);
}

/// Without a stem's parts and gradient, and with all tapes lean, the published network needs less
/// than a tenth of what storing everything needs.
TEST(MemoryPlan, ThePublishedNetworkAt224) {
  const ModelConfig config = preset("ibinn-imagenet");
  const auto peak = [&](Kind kind) { return plan_memory(config, 8, Device(), {kind}).peak_bytes; };
  EXPECT_LT(12 * peak(Kind::min), peak(Kind::max));
  EXPECT_LT(4 * peak(Kind::automatic), peak(Kind::max));
  // Where blocks are stored or rebuilt as a whole, 32 % of the forward pass run again.
  EXPECT_LT(plan_memory(config, 8, Device(), {Kind::automatic}).recomputed, 0.2);
}

TEST(MemoryPlan, SaysWhatBlocksKeep) {
  using enum ActivationPolicy;
  MemoryPlan plan;
  plan.policies = {store, store};
  EXPECT_EQ(plan.summary(), "all blocks stored");
  plan.policies = {{invert, TapeForm::lean},
                   invert,
                   {tapes, TapeForm::narrow},
                   last_tape,
                   {store, TapeForm::narrow},
                   store,
                   store};
  plan.recomputed = 0.174;
  EXPECT_EQ(
      plan.summary(),
      "of 7 blocks 2 stored, 1 stored narrow, 1 tapes narrow, 1 last tape, 2 inverted; 17 % of "
      "the forward pass run again");
}

}  // namespace
}  // namespace pal
