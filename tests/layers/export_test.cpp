// Models written as others publish them, and read again.
#include "layers/models/export_model.h"

#include <gtest/gtest.h>

#include <cstring>

#include "layers/checkpoint/torch_file.h"
#include "layers/models/import_model.h"
#include "runtime/error.h"
#include "tests/support/numeric.h"
#include "tests/support/published_files.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

/// A model of a configuration, as loaded from a file.
LoadedModel loaded(const ModelConfig& config) {
  LoadedModel made;
  made.model = build_model(config);
  made.model->materialise(3);
  for (int64_t colour = 0; colour < config.channels; ++colour) {
    made.input.mean.push_back(0.25F);
    made.input.std.push_back(0.5F);
  }
  for (int64_t y = 0; y < config.classes; ++y)
    made.input.class_names.push_back("class " + std::to_string(y));
  return made;
}

/// The tensors that come back are those that went, byte by byte.
void expect_round_trip(const ModelConfig& config, const ImportChoice& choice = {}) {
  const testing::TemporaryFolder folder;
  const LoadedModel model = loaded(config);
  const ExportedModel exported = export_model(folder.file("a.pt"), model, "ours");
  const TorchFile file(folder.file("a.pt"));
  file.verify();
  EXPECT_EQ(static_cast<size_t>(exported.tensors), file.tensors().size());
  const ImportedModel imported = import_model(file, {}, choice);
  EXPECT_EQ(imported.parameters, exported.parameters);
  for (const char* field : {"family", "channels", "classes", "entry", "subnet", "mixing", "rank",
                            "clamp", "act-norm", "latent-norm", "head-permutation"})
    EXPECT_EQ(field_text(imported.config, field), field_text(config, field)) << field;
  const Checkpoint ours = to_checkpoint(*model.model, model.input, {});
  ASSERT_EQ(imported.checkpoint.tensors.size(), ours.tensors.size());
  for (const auto& [name, tensor] : ours.tensors) {
    const Tensor* found = imported.checkpoint.find(name);
    ASSERT_NE(found, nullptr) << name;
    ASSERT_EQ(found->shape(), tensor.shape()) << name;
    EXPECT_EQ(std::memcmp(found->raw(), tensor.raw(), static_cast<size_t>(tensor.bytes())), 0)
        << name;
  }
}

TEST(ExportModel, FlowsComeBackAsTheyWere) {
  std::vector<ModelConfig> configs(6, testing::published_config());
  configs[1].mixing = MixingKind::orthogonal;
  configs[2].mixing = MixingKind::householder;
  configs[3].coupling = CouplingKind::glow;
  configs[3].entry_7x7 = true;
  configs[4].rank = 0;
  configs[5].entry = EntryKind::haar;
  configs[5].channels = 2;
  configs[5].subnet = SubnetKind::basic;
  for (const ModelConfig& config : configs) expect_round_trip(config);
}

TEST(ExportModel, ResNetsComeBackAsTheyWere) {
  ModelConfig config = testing::tiny_resnet50();
  expect_round_trip(config);
  config.entry = EntryKind::haar;
  config.subnet = SubnetKind::basic;
  expect_round_trip(config, {"", EntryKind::haar});
}

TEST(ExportModel, PublishedFilesHaveWhatTheirCodeLoads) {
  const testing::TemporaryFolder folder;
  export_model(folder.file("a.pt"), loaded(testing::published_config()), "ours");
  const TorchFile file(folder.file("a.pt"));
  // Shapes of the published file of the same skeleton, by 3 colours and 16 pixels.
  const std::vector<std::pair<const char*, std::vector<int64_t>>> shapes = {
      {"inn.module_list.1.act_norm", {1, 12, 1, 1}},
      {"inn.module_list.1.w", {12, 12, 1, 1}},
      {"inn.module_list.1.w_inv", {12, 12, 1, 1}},
      {"inn.module_list.1.s_hi.1.num_batches_tracked", {}},
      {"inn.module_list.1.reshape_kernels.0", {8, 1, 2, 2}},
      {"inn.module_list.1.reshape_kernels.1", {4, 1, 2, 2}},
      {"inn.module_list.2.haar_weights", {48, 1, 2, 2}}};
  for (const auto& [name, shape] : shapes) {
    ASSERT_NE(file.find(name), nullptr) << name;
    EXPECT_EQ(file.find(name)->shape, shape) << name;
  }
  EXPECT_EQ(file.find("mu")->shape.size(), 3U);
}

TEST(ExportModel, NamesWhatTheLayoutCannotHold) {
  const testing::TemporaryFolder folder;
  const auto expect_refused = [&](const ModelConfig& config, const std::string& text) {
    testing::expect_error(ErrorKind::data, text,
                          [&] { export_model(folder.file("a.pt"), loaded(config), "ours"); });
  };
  expect_refused(preset("ibinn-mnist"),
                 "ours: the published layout cannot hold clamp 2 (it means 0.7), latent-norm true "
                 "(it means false), head-permutation false (it means true)");
  ModelConfig config = testing::published_config();
  config.mixing = MixingKind::conv1x1;
  expect_refused(config, "mixing conv1x1 (permutation, orthogonal or householder)");
  config = testing::published_config();
  config.gin = true;
  expect_refused(config, "cannot hold gin true");
  config = preset("resnet-small");
  config.strides = {1, 1, 2};
  expect_refused(config, "cannot hold strides 1,1,2");
}

}  // namespace
}  // namespace pal
