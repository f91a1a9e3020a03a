// What a block may keep, by count: each step up saves time, and less of it for a further byte.
#include "experiments/planning/block_levels.h"

#include <gtest/gtest.h>

#include "experiments/planning/memory_plan.h"
#include "layers/models/config.h"

namespace pal {
namespace {

constexpr double kPerByte = 8.0;

TEST(BlockLevels, EachStepSavesLessTimeForAByte) {
  for (const std::string& arch : preset_names()) {
    const ModelSummary model = summarize_model(preset(arch));
    const ModelFamily family = model.config.family;
    for (const BlockSummary& block : model.blocks) {
      if (!block.has_policy) continue;
      const std::vector<BlockLevel> levels = best_levels(possible_levels(block, family, kPerByte));
      ASSERT_GE(levels.size(), 2U) << arch << " " << block.name;
      EXPECT_EQ(levels.front().policy.policy, rebuilding_policy(family));
      EXPECT_EQ(levels.back().policy, BlockPolicy(ActivationPolicy::store));
      EXPECT_EQ(levels.back().extra_work, 0.0);
      EXPECT_EQ(levels.back().recomputed, 0);
      double before = std::numeric_limits<double>::infinity();
      for (size_t i = 1; i < levels.size(); ++i) {
        const double saved = levels[i - 1].extra_work - levels[i].extra_work;
        const int64_t bytes = levels[i].kept_bytes - levels[i - 1].kept_bytes;
        EXPECT_GT(saved, 0.0) << arch << " " << block.name;
        ASSERT_GT(bytes, 0) << arch << " " << block.name;
        EXPECT_LT(saved / static_cast<double>(bytes), before * (1.0 + 1e-9))  // may be equal
            << arch << " " << block.name;
        before = saved / static_cast<double>(bytes);
      }
    }
  }
}

/// The bytes that levels say are those that a step then needs: blocks behind the first add to the
/// peak what they keep until the first has its turn in the forward pass.
TEST(BlockLevels, KeptBytesAreThoseOfAStep) {
  ModelConfig config = preset("ibinn-imagenet");
  config.blocks = {2, 1};
  config.strides = {1, 2};
  config.widths = {64, 64};
  config.classes = 10;
  constexpr int64_t kBatch = 2;
  StepMemory memory(config, kBatch, Device());
  const ModelSummary model = summarize_model(config);
  const auto blocks = static_cast<size_t>(memory.blocks());
  const size_t last_plain = 4;  // behind the entry, Haar, the pointwise coupling and another one
  ASSERT_EQ(model.blocks[last_plain].kind, "slow coupling");
  // All others keep so much that the peak is the end of the forward pass.
  const auto peak = [&](const BlockPolicy& policy) {
    std::vector<BlockPolicy> policies(blocks, ActivationPolicy::store);
    policies[last_plain] = policy;
    return memory.peak(policies);
  };
  const auto level = [&](const BlockPolicy& policy) {
    return level_of(model.blocks[last_plain], policy, kPerByte);
  };
  const BlockPolicy narrow(ActivationPolicy::tapes, TapeForm::narrow);
  for (const ActivationPolicy policy : {ActivationPolicy::store, ActivationPolicy::tapes})
    for (const TapeForm form : kTapeForms) {
      const BlockPolicy other(policy, form);
      EXPECT_EQ(peak(other) - peak(narrow),
                kBatch * (level(other).kept_bytes - level(narrow).kept_bytes))
          << name_of(other);
    }
}

}  // namespace
}  // namespace pal
