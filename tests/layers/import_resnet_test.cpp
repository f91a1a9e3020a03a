#include <gtest/gtest.h>

#include "runtime/error.h"
#include "tests/support/numeric.h"
#include "tests/support/published_files.h"

namespace pal {
namespace {

using testing::expect_refused;
using testing::expect_same_tensors;
using testing::find_tensor;
using testing::import_bytes;
using testing::publish;
using testing::Published;
using testing::published_config;
using testing::PublishedTensors;
using testing::tiny_resnet50;
using testing::torch_file;

TEST(ImportResNet, FindsArchitectureAndTensorsUnderAnyPrefix) {
  for (const char* prefix : {"", "state_dict/module.", "model/"})
    for (const SubnetKind subnet : {SubnetKind::bottleneck, SubnetKind::basic}) {
      ModelConfig config = tiny_resnet50();
      config.subnet = subnet;
      const ResNet model(config, 3);
      PublishedTensors tensors = publish(model, prefix);
      if (*prefix != 0) tensors.push_back({"optimizer/x", Tensor::zeros({2}), {2}});
      const ImportedModel imported = import_bytes(torch_file(tensors));
      for (const char* field : {"family", "image-size", "channels", "classes", "entry",
                                "entry-width", "blocks", "strides", "widths", "subnet"})
        EXPECT_EQ(field_text(imported.config, field), field_text(config, field)) << field;
      EXPECT_EQ(imported.config.arch, "resnet");
      expect_same_tensors(imported.checkpoint, to_checkpoint(model, {}, {}));
      EXPECT_EQ(imported.ignored.count("optimizer"), *prefix == 0 ? 0U : 1U);
    }
}

TEST(ImportResNet, TakesAKernelOf3x3ForThatOfCifarUnlessToldOtherwise) {
  for (const SubnetKind subnet : {SubnetKind::bottleneck, SubnetKind::basic})
    for (const EntryKind entry : {EntryKind::cifar, EntryKind::haar, EntryKind::entry}) {
      ModelConfig config = tiny_resnet50();
      config.subnet = subnet;
      config.entry = entry;
      config.image_size = entry == EntryKind::entry ? 224 : 32;
      const ResNet model(config, 3);
      const std::string file = torch_file(publish(model, "state_dict/module."));
      const ImportedModel told = import_bytes(file, {}, {"", entry});
      EXPECT_EQ(told.config.entry, entry);
      EXPECT_EQ(told.config.image_size, config.image_size);
      EXPECT_TRUE(told.assumed.empty());
      expect_same_tensors(told.checkpoint, to_checkpoint(model, {}, {}));
      const ImportedModel guessed = import_bytes(file);
      EXPECT_EQ(guessed.config.entry, entry == EntryKind::haar ? EntryKind::cifar : entry);
      EXPECT_EQ(guessed.assumed.size(), entry == EntryKind::entry ? 0U : 1U);
      const EntryKind wrong = entry == EntryKind::entry ? EntryKind::cifar : EntryKind::entry;
      testing::expect_error(ErrorKind::usage,
                            entry == EntryKind::entry ? "7x7 kernel, so expected entry"
                                                      : "3x3 kernel, so expected haar or cifar",
                            [&] {
                              import_bytes(file, {}, {"", wrong});
                            });
    }
  testing::expect_error(ErrorKind::usage, "--entry: says what a ResNet begins with", [] {
    import_bytes(torch_file(publish(IbInn(published_config(), 3))), {}, {"", EntryKind::haar});
  });
}

TEST(ImportResNet, NamesWhatDoesNotFit) {
  const ResNet model(tiny_resnet50(), 3);
  const PublishedTensors whole = publish(model, "");
  const auto without = [&](const std::string& name) {
    PublishedTensors tensors = whole;
    std::erase_if(tensors, [&](const Published& each) { return each.name == name; });
    EXPECT_LT(tensors.size(), whole.size()) << name;
    return tensors;
  };
  for (const char* name :
       {"bn1.running_mean", "layer1.0.downsample.0.weight", "fc.bias", "layer3.0.conv2.weight"})
    expect_refused(without(name), std::string("f: ") + name + ": this tensor");
  expect_refused(without("layer1.0.conv1.weight"), "neither a published IB-INN");
  PublishedTensors extended = whole;
  extended.push_back({"layer1.0.se.weight", Tensor::zeros({2}), {2}});
  expect_refused(extended, "layer1.0.se.weight: not a tensor of this ResNet");
  PublishedTensors changed = whole;
  *find_tensor(changed, "fc.bias") = {"fc.bias", Tensor::zeros({6}), {6}};
  expect_refused(changed, "fc.bias: expected [5], found [6]");
  const PublishedTensors wrapped = publish(model, "state_dict/module.");
  PublishedTensors longer = wrapped;
  longer.push_back({"state_dict/module.layer1.0.se.weight", Tensor::zeros({2}), {2}});
  expect_refused(longer, "f: state_dict.module.layer1.0.se.weight: not a tensor of this ResNet");
}

}  // namespace
}  // namespace pal
