#include "experiments/planning/network_levels.h"

#include <gtest/gtest.h>

namespace pal {
namespace {

std::vector<NetworkLevel> levels_of(const ModelConfig& config) {
  return network_levels(summarize_model(config));
}

/// Receptive fields as the paper prints them, minus 1; -1: all.
std::vector<int64_t> fields(const ModelConfig& config) {
  std::vector<int64_t> values;
  for (const NetworkLevel& level : levels_of(config))
    values.push_back(level.receptive_field.value_or(0) - 1);
  return values;
}

template <typename Member>
std::vector<std::decay_t<Member>> column(const std::string& arch, Member NetworkLevel::*member) {
  std::vector<std::decay_t<Member>> values;
  for (const NetworkLevel& level : levels_of(preset(arch))) values.push_back(level.*member);
  return values;
}

using Numbers = std::vector<int64_t>;

TEST(NetworkLevels, AreThoseOfThePublishedTable) {
  const std::vector<std::string> names = {"image",   "entry",   "pool",    "stage 1",
                                          "stage 2", "stage 3", "stage 4", "head"};
  EXPECT_EQ(column("ibinn-imagenet", &NetworkLevel::name), names);
  EXPECT_EQ(column("ibinn-imagenet", &NetworkLevel::size),
            Numbers({224, 112, 56, 56, 28, 14, 7, 1}));
  EXPECT_EQ(column("ibinn-imagenet", &NetworkLevel::channels),
            Numbers({3, 12, 48, 48, 192, 768, 3072, 150528}));
  // One coupling that sees single pixels stands behind Haar.
  EXPECT_EQ(column("ibinn-imagenet", &NetworkLevel::blocks), Numbers({0, 1, 1, 3, 4, 6, 3, 0}));
  EXPECT_EQ(fields(preset("ibinn-imagenet")), Numbers({0, 8, 10, 34, 106, 314, 538, -1}));
  EXPECT_EQ(column("resnet50", &NetworkLevel::name), names);
  EXPECT_EQ(column("resnet50", &NetworkLevel::size), Numbers({224, 112, 56, 56, 28, 14, 7, 1}));
  EXPECT_EQ(column("resnet50", &NetworkLevel::channels),
            Numbers({3, 64, 64, 256, 512, 1024, 2048, 2048}));
  EXPECT_EQ(column("resnet50", &NetworkLevel::blocks), Numbers({0, 1, 0, 3, 4, 6, 3, 0}));
  EXPECT_EQ(fields(preset("resnet50")), Numbers({0, 6, 10, 34, 90, 266, 426, -1}));
}

TEST(NetworkLevels, FollowTheLayersOfOtherNetworks) {
  // Haar, then per coupling two subnets of two 3x3 convolutions, two pixels apart: 4 * 2 * 2 * 4;
  // the downsampling one: 2 at the step of its input and at that of its output, 2 beyond it.
  const int64_t first = 2 + 4 * 16;
  const int64_t second = first + (2 + 2) * 2 + 2 * 2 * 4 + 3 * 4 * 2 * 4;
  EXPECT_EQ(fields(preset("ibinn-mnist")), Numbers({0, 1, first - 1, second - 1, -1}));
  EXPECT_EQ(column("ibinn-mnist", &NetworkLevel::size), Numbers({28, 14, 14, 7, 1}));
  EXPECT_EQ(column("ibinn-mnist", &NetworkLevel::channels), Numbers({1, 4, 4, 16, 784}));
  // Convolution 3x3/2, then per block two 3x3 convolutions.
  EXPECT_EQ(fields(preset("resnet-small")),
            Numbers({0, 2, 2 + 32, 34 + 4 + 8 + 3 * 16, 94 + 8 + 16 + 3 * 32, -1}));
  EXPECT_EQ(column("resnet-small", &NetworkLevel::channels), Numbers({3, 32, 32, 64, 128, 128}));
  ModelConfig wide = preset("ibinn-imagenet");
  apply_paper_flavour(wide);
  EXPECT_EQ(fields(wide)[1], 10) << "7x7 and 3x3, two pixels apart";
  ModelConfig slow = preset("ibinn-mnist");
  slow.coupling = CouplingKind::slow;
  EXPECT_EQ(fields(slow)[2], 1 + 4 * 8) << "one subnet in a block";
}

TEST(ResidualCounterpart, BelongsToThePresetsThatHaveOne) {
  ModelConfig config = preset("ibinn-small");
  config.classes = 7;
  config.image_size = 64;
  const auto found = residual_counterpart(config);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->arch, "resnet-small");
  EXPECT_EQ(found->classes, 7);
  EXPECT_EQ(found->image_size, 64);
  EXPECT_EQ(residual_counterpart(preset("ibinn-imagenet"))->arch, "resnet50");
  config.blocks = {1, 1, 1};
  EXPECT_FALSE(residual_counterpart(config).has_value());
  for (const char* arch : {"ibinn-mnist", "resnet50", "resnet-small"})
    EXPECT_FALSE(residual_counterpart(preset(arch)).has_value()) << arch;
}

}  // namespace
}  // namespace pal
