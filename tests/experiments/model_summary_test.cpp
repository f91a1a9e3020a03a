#include "experiments/planning/model_summary.h"

#include <gtest/gtest.h>

#include "layers/models/ib_inn.h"
#include "runtime/allocator.h"

namespace pal {
namespace {

TEST(ModelSummary, CountsThePublishedNetwork) {
  const ModelSummary model = summarize_model(preset("ibinn-imagenet"));
  EXPECT_EQ(model.parameters_network, 55412304);
  EXPECT_EQ(model.parameters_total, 77486672);
  EXPECT_EQ(model.multiply_adds, 6916661248);
  EXPECT_EQ(model.multiply_adds_dense_mixing, 2227212288);
  // The published 9.08 G multiply-adds count the permutations as dense products.
  EXPECT_EQ(model.multiply_adds_with_dense_mixing(), 6916661248 + 2227212288);
  EXPECT_NEAR(static_cast<double>(model.multiply_adds_with_dense_mixing()), 9.08e9, 0.01 * 9.08e9);
  EXPECT_EQ(model.parameters_head(), 22074368);
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
  EXPECT_EQ(policies_of(ModelFamily::flow).size(), std::size(kActivationPolicies));
  EXPECT_EQ(policies_of(ModelFamily::resnet).size(), 2U);
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
  EXPECT_EQ(multiplied.multiply_adds_mixing, permuted.multiply_adds_dense_mixing);
  EXPECT_EQ(permuted.multiply_adds_with_dense_mixing(), multiplied.multiply_adds);
  EXPECT_EQ(multiplied.multiply_adds_with_dense_mixing(), multiplied.multiply_adds)
      << "the mixing counts once";
}

}  // namespace
}  // namespace pal
