#include "experiments/planning/batch_norm_check.h"

#include <gtest/gtest.h>

#include "layers/models/model.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

/// Whether the network has parameters of a batch norm under this name.
bool has_norm(const ModelConfig& config, const std::string& name) {
  const auto model = build_model(config);
  for (const Buffer& b : model->state().buffers)
    if (b.name == name + ".running_mean") return true;
  return false;
}

TEST(SingleValueBatchNorm, NamesTheLayer) {
  for (const char* arch : {"ibinn-small", "resnet-small", "resnet50"}) {
    ModelConfig config = preset(arch);
    config.image_size = config.entry == EntryKind::entry ? 32 : 8;
    const auto found = single_value_batch_norm(config, 1);
    ASSERT_TRUE(found.has_value()) << arch;
    EXPECT_TRUE(has_norm(config, *found)) << *found;
    EXPECT_FALSE(single_value_batch_norm(config, 2).has_value()) << arch;
    config.image_size *= 2;
    EXPECT_FALSE(single_value_batch_norm(config, 1).has_value()) << arch;
  }
  ModelConfig small = preset("resnet-small");
  small.image_size = 8;
  EXPECT_EQ(single_value_batch_norm(small, 1), "layer3.0.bn1");
}

TEST(SingleValueBatchNorm, RefusesNoBatch) {
  testing::expect_error(ErrorKind::usage, "at least 1",
                        [] { single_value_batch_norm(preset("ibinn-small"), 0); });
}

}  // namespace
}  // namespace pal
