#include "experiments/report/network_tables.h"

#include <gtest/gtest.h>

#include <cmath>

#include "experiments/planning/network_levels.h"
#include "experiments/report/published.h"
#include "runtime/file.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

std::string text_of(const std::string& path) {
  const auto bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

std::vector<ModelSummary> networks(std::initializer_list<const char*> presets) {
  std::vector<ModelSummary> models;
  for (const char* arch : presets) models.push_back(summarize_model(preset(arch)));
  return models;
}

TEST(NetworkTables, AreThoseOfThePaper) {
  const testing::TemporaryFolder folder;
  const auto models = networks({"ibinn-imagenet", "resnet50"});
  NetworkTables(models, true).write(folder.file("a/b"));
  EXPECT_EQ(text_of(folder.file("a/b/table1.csv")),
            "level,flow_size,flow_channels,flow_blocks,flow_receptive_field,"
            "flow_receptive_field_published,resnet_size,resnet_channels,resnet_blocks,"
            "resnet_receptive_field,resnet_receptive_field_published\n"
            "image,224,3,,,,224,3,,,\n"
            "entry,112,12,1,8,8,112,64,1,6,6\n"
            "pool,56,48,1,10,10,56,64,0,10,10\n"
            "stage 1,56,48,3,34,34,56,256,3,34,34\n"
            "stage 2,28,192,4,106,106,28,512,4,90,90\n"
            "stage 3,14,768,6,314,314,14,1024,6,266,266\n"
            "stage 4,7,3072,3,538,538,7,2048,3,426,426\n"
            "head,1,150528,,all,all,1,2048,,all,all\n");
  EXPECT_EQ(text_of(folder.file("a/b/table5.csv")),
            "total,flow,flow_published,resnet,resnet_published\n"
            "parameters_network,55412304,55400000,23508032,23500000\n"
            "parameters_head,22074368,,2049000,\n"
            "parameters_total,77486672,77500000,25557032,25600000\n"
            "multiply_adds,6916661248,,4089184256,4070000000\n"
            "multiply_adds_dense_mixing,2227212288,,,\n"
            "multiply_adds_with_dense_mixing,9143873536,9080000000,,\n");
}

TEST(NetworkTables, AgreeWithThePrintedNumbers) {
  const auto models = networks({"ibinn-imagenet", "resnet50"});
  for (const ModelSummary& model : models) {
    const PublishedNetwork* const paper = published_network(model.config);
    ASSERT_NE(paper, nullptr);
    // Parameters are printed to 0.1 M.
    EXPECT_LE(std::abs(*paper->parameters_network - static_cast<double>(model.parameters_network)),
              0.05e6);
    EXPECT_LE(std::abs(*paper->parameters_total - static_cast<double>(model.parameters_total)),
              0.05e6);
    const std::vector<NetworkLevel> levels = network_levels(model);
    ASSERT_EQ(paper->receptive_fields.size(), levels.size());
    for (size_t i = 1; i + 1 < levels.size(); ++i)
      EXPECT_EQ(paper->receptive_fields[i], *levels[i].receptive_field - 1) << levels[i].name;
  }
}

TEST(NetworkTables, HaveColumnsOfWhatIsShown) {
  const auto alone = networks({"resnet-small"});
  const NetworkTables tables(alone, false);
  EXPECT_EQ(tables.levels_text().find("flow"), std::string::npos);
  EXPECT_EQ(tables.totals_text().find("mixing"), std::string::npos);
  EXPECT_NE(tables.totals_text().find("1,472,554"), std::string::npos);
  const auto flow = networks({"ibinn-imagenet"});
  EXPECT_EQ(NetworkTables(flow, false).totals_text().find("9.08 G"), std::string::npos);
  EXPECT_NE(NetworkTables(flow, true).totals_text().find("9.08 G"), std::string::npos);
}

TEST(PublishedNetwork, HasTheStagesOfThePreset) {
  EXPECT_EQ(published_network(preset("ibinn-small")), nullptr);
  ModelConfig config = preset("ibinn-imagenet");
  apply_paper_flavour(config);
  EXPECT_NE(published_network(config), nullptr);
  config.image_size = 96;
  EXPECT_EQ(published_network(config), nullptr);
  config.blocks = {1, 1, 1, 1};
  EXPECT_EQ(published_network(config), nullptr);
}

}  // namespace
}  // namespace pal
