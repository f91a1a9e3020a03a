#include <gtest/gtest.h>

#include "layers/checkpoint/torch_file.h"
#include "runtime/error.h"
#include "tests/support/numeric.h"
#include "tests/support/published_files.h"
#include "tests/support/torch_writer.h"

namespace pal {
namespace {

using testing::expect_refused;
using testing::expect_same_tensors;
using testing::import_bytes;
using testing::joined;
using testing::moved;
using testing::publish;
using testing::Published;
using testing::published_config;
using testing::PublishedTensors;
using testing::tiny_resnet50;
using testing::torch_file;

TEST(ImportNetworks, AreChosenByKey) {
  const ResNet weights(tiny_resnet50(), 3);
  const ResNet average(tiny_resnet50(), 4);
  struct Case {
    const char* first;   // what the names of the weights begin with
    const char* second;  // and those of their average
    const char* first_key;
    const char* second_key;
  };
  for (const Case& each : std::vector<Case>{
           {"state_dict/", "state_dict_ema/", "state_dict", "state_dict_ema"},
           {"state_dict/module.", "state_dict_ema/module.", "state_dict", "state_dict_ema"},
           {"model/", "model_ema/module.", "model", "model_ema"},
           {"model/_orig_mod.", "ema/module.module.", "model", "ema"},
           {"", "ema/", ".", "ema"},
           {"module.", "ema/module.", "module", "ema"},
           {"nets/a.", "nets/b.", "nets.a", "nets.b"},
           {"nets/", "nets/module.", "nets", "nets.module"}}) {
    PublishedTensors both = joined(publish(weights, each.first), publish(average, each.second));
    if (std::string(each.second) == "model_ema/module.")
      both.push_back({"model_ema/n_averaged", Tensor::zeros({1}), {}});
    if (std::string(each.first) == "")
      std::ranges::stable_partition(
          both, [](const Published& t) { return t.name.find('/') == std::string::npos; });
    const std::string file = torch_file(both);
    const std::vector<uint8_t> bytes = testing::bytes_of(file);
    std::vector<std::string> keys;
    for (const ImportNetwork& network : import_networks(TorchFile(bytes, "f")))
      keys.push_back(network.key);
    EXPECT_EQ(keys, (std::vector<std::string>{each.first_key, each.second_key}));
    expect_refused(both, fmt::format("f: 2 networks, \"{}\", \"{}\": --key NAME chooses one",
                                     each.first_key, each.second_key));
    expect_same_tensors(import_bytes(file, {}, {each.first_key, {}}).checkpoint,
                        to_checkpoint(weights, {}, {}));
    expect_same_tensors(import_bytes(file, {}, {each.second_key, {}}).checkpoint,
                        to_checkpoint(average, {}, {}));
    testing::expect_error(ErrorKind::usage, "--key: f has no network \"other\", expected", [&] {
      import_bytes(file, {}, {"other", {}});
    });
  }
  // The whole prefix is a name too, and the key of the only network.
  const PublishedTensors one = publish(weights, "state_dict/module.");
  for (const char* key : {"", "state_dict", "state_dict.module"})
    EXPECT_NO_THROW(import_bytes(torch_file(one), {}, {key, {}})) << key;
}

TEST(ImportNetworks, AreManyInALineOfFew) {
  EXPECT_EQ(key_list({"a", "b\n"}), "\"a\", \"b?\"");
  std::vector<std::string> names;
  for (int i = 0; i < 20; ++i)
    for (const char* tensor : {"conv1.weight", "layer1.0.conv1.weight", "fc.weight"})
      names.push_back(fmt::format("n{}.{}", i, tensor));
  const auto networks = import_networks(names);
  EXPECT_EQ(networks.size(), 20U);
  std::vector<std::string> keys;
  for (const ImportNetwork& network : networks) keys.push_back(network.key);
  EXPECT_TRUE(key_list(keys).ends_with("\"n7\" and 12 more"));
}

TEST(ImportNetworks, MayBeFlows) {
  const IbInn weights(published_config(), 3);
  const IbInn average(published_config(), 4);
  const PublishedTensors both = joined(moved(publish(weights), "state_dict/inn.", "state_dict/"),
                                       moved(publish(average), "ema/inn.module.", "ema/"));
  expect_refused(both, "f: 2 networks, \"state_dict\", \"ema\"");
  const ImportedModel imported = import_bytes(torch_file(both), {}, {"ema", {}});
  expect_same_tensors(imported.checkpoint, to_checkpoint(average, {}, {}));
  EXPECT_GT(imported.ignored.at("state_dict"), 100);
}

TEST(ImportNetworks, TellTheirLayouts) {
  const auto networks = [](const std::string& text) {
    const std::vector<uint8_t> bytes = testing::bytes_of(text);
    return import_networks(TorchFile(bytes, "f"));
  };
  const auto flow = networks(torch_file(publish(IbInn(published_config(), 3))));
  ASSERT_EQ(flow.size(), 1U);
  EXPECT_EQ(flow[0].layout, ImportLayout::ib_inn);
  EXPECT_EQ(flow[0].key, ".");
  const auto residual = networks(torch_file(publish(ResNet(tiny_resnet50(), 3), "")));
  ASSERT_EQ(residual.size(), 1U);
  EXPECT_EQ(residual[0].layout, ImportLayout::resnet);
  EXPECT_TRUE(networks(torch_file({{"w", Tensor::zeros({2}), {2}}})).empty());
}

}  // namespace
}  // namespace pal
