#include <gtest/gtest.h>

#include <cstring>

#include "layers/checkpoint/safetensors.h"
#include "layers/checkpoint/torch_file.h"
#include "layers/models/ib_inn.h"
#include "layers/models/import_model.h"
#include "layers/models/resnet.h"
#include "runtime/error.h"
#include "tests/support/numeric.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"
#include "tests/support/torch_writer.h"

namespace pal {
namespace {

using testing::TorchWriter;

/// One tensor of a published file.
struct Published {
  std::string name;  ///< "inn/module_list.1.act_norm"
  Tensor tensor;
  std::vector<int64_t> shape;
};
using Tensors = std::vector<Published>;

Published* find(Tensors& tensors, const std::string& name) {
  for (Published& each : tensors)
    if (each.name == name) return &each;
  ADD_FAILURE() << "no " << name;
  return nullptr;
}

/// The dense matrix of an index map.
Tensor one_hot(const Tensor& index) {
  const int64_t n = index.numel();
  const Tensor w = Tensor::zeros({n, n});
  for (int64_t i = 0; i < n; ++i) w.data<float>()[i * n + index.data<int32_t>()[i]] = 1.0F;
  return w;
}

std::vector<int64_t> extents(const Tensor& tensor) {
  std::vector<int64_t> shape;
  for (int axis = 0; axis < tensor.rank(); ++axis) shape.push_back(tensor.size(axis));
  return shape;
}

std::string published_name(const std::string& ours) {
  if (ours.starts_with("blocks.")) return "inn/module_list." + ours.substr(7);
  if (ours == "mu_mean") return "mu";
  if (ours == "mu_alpha") return "mu_t";
  return "mu_m";
}

/// A model as its published checkpoint would hold it.
Tensors publish(const IbInn& model) {
  Tensors tensors;
  const auto add = [&](const std::string& ours, const Tensor& value) {
    std::string name = published_name(ours);
    const Tensor stored = value.rank() == 4 ? to_channel_first(value) : value;
    std::vector<int64_t> shape = extents(stored);
    if (name.ends_with("act_norm") || name.ends_with("act_offset"))
      shape = {1, stored.numel(), 1, 1};
    if (name == "mu") shape.insert(shape.begin(), 1);
    if (!name.ends_with(".w_index")) {
      if (name.ends_with(".w")) shape.insert(shape.end(), {1, 1});
      return tensors.push_back({name, stored, shape});
    }
    const Tensor w = one_hot(stored);
    name.resize(name.size() - std::strlen("_index"));
    tensors.push_back({name, w, {w.size(0), w.size(0), 1, 1}});
    tensors.push_back({name + "_inv", w, {w.size(0), w.size(0), 1, 1}});
  };
  for (const Buffer& b : model.state().buffers)
    if (b.name != "head_permutation") add(b.name, *b.tensor);
  for (const Parameter* p : model.state().parameters) add(p->name, p->value);
  const Tensor leftover = Tensor::zeros({2});
  for (const char* name :
       {"inn/tmp_var_0", "inn/module_list.2.haar_weights", "inn/module_list.1.reshape_kernels.0",
        "inn/module_list.1.s_hi.1.num_batches_tracked", "opt/momentum"})
    tensors.push_back({name, leftover, {2}});
  std::ranges::stable_sort(tensors, {}, [](const Published& each) {
    return each.name.substr(0, each.name.find('/') + 1);
  });
  return tensors;
}

std::string torch_file(const Tensors& tensors) {
  TorchWriter writer;
  writer.add_value("epoch", "K\3");
  for (const Published& each : tensors) writer.add(each.name, each.tensor, each.shape);
  return writer.write();
}

ImportedModel import_bytes(const std::string& text, const InputSpec& input = {}) {
  const std::vector<uint8_t> bytes = testing::bytes_of(text);
  return import_model(TorchFile(bytes, "f"), input);
}

void expect_refused(const Tensors& tensors, const std::string& message) {
  testing::expect_error(ErrorKind::data, message, [&] { import_bytes(torch_file(tensors)); });
}

void expect_same_tensors(const Checkpoint& got, const Checkpoint& wanted) {
  ASSERT_EQ(got.tensors.size(), wanted.tensors.size());
  for (const auto& [name, tensor] : wanted.tensors) {
    const Tensor* found = got.find(name);
    ASSERT_NE(found, nullptr) << name;
    ASSERT_EQ(found->shape(), tensor.shape()) << name;
    ASSERT_EQ(found->dtype(), tensor.dtype()) << name;
    EXPECT_EQ(std::memcmp(found->raw(), tensor.raw(), static_cast<size_t>(tensor.bytes())), 0)
        << name;
  }
}

ModelConfig published_config() {
  ModelConfig config = testing::tiny_config();
  config.latent_norm = false;
  return config;
}

/// Fields that a file tells, one by one.
void expect_same_architecture(const ModelConfig& got, const ModelConfig& wanted) {
  for (const char* field : {"image-size", "channels", "classes", "entry", "entry-7x7",
                            "entry-width", "blocks", "strides", "widths", "subnet", "coupling",
                            "mixing", "rank", "dct", "latent-norm", "head-permutation", "clamp"})
    EXPECT_EQ(field_text(got, field), field_text(wanted, field)) << field;
}

TEST(ImportIbInn, FindsArchitectureAndTensorsOfEveryVariant) {
  std::vector<ModelConfig> configs(7, published_config());
  configs[1].mixing = MixingKind::orthogonal;
  configs[2].mixing = MixingKind::householder;
  configs[2].reflections = 2;
  configs[3].coupling = CouplingKind::glow;
  configs[3].entry_7x7 = true;
  configs[4].subnet = SubnetKind::basic;
  configs[4].blocks = {2, 1, 2};
  configs[4].strides = {2, 1, 1};
  configs[4].widths = {3, 4, 5};
  configs[5].rank = 0;
  configs[6].entry = EntryKind::haar;
  configs[6].channels = 2;
  // Without an entry nothing tells its width.
  configs[6].entry_width = 64;
  for (const ModelConfig& config : configs) {
    const IbInn model(config, 3);
    Tensors tensors = publish(model);
    if (config.entry == EntryKind::haar) {
      std::erase_if(tensors, [](const Published& each) {
        return each.name.find("list.1.") != std::string::npos ||
               each.name.find("haar") != std::string::npos;
      });
      tensors.push_back({"inn/module_list.1.haar_weights", Tensor::zeros({8}), {8, 1, 1, 1}});
    }
    const ImportedModel imported = import_bytes(torch_file(tensors));
    expect_same_architecture(imported.config, config);
    expect_same_tensors(imported.checkpoint, to_checkpoint(model, {}, {}));
    EXPECT_TRUE(imported.non_finite.empty());
    EXPECT_EQ(imported.ignored.at("opt"), 1);
    int64_t count = 0;
    for (const Parameter* p : model.state().parameters) count += p->shape.numel();
    EXPECT_EQ(imported.parameters, count);
  }
}

TEST(ImportIbInn, TakesFullRankMeansInTwoParts) {
  ModelConfig config = published_config();
  config.rank = 0;
  const IbInn model(config, 3);
  Tensors tensors = publish(model);
  const Tensor whole = find(tensors, "mu")->tensor;
  const int64_t mean_dims = config.channels << 6;
  const Tensor first = whole.slice_channels(0, mean_dims).clone();
  const Tensor rest = whole.slice_channels(mean_dims, whole.size(1) - mean_dims).clone();
  *find(tensors, "mu") = {"mu", first, {1, config.classes, mean_dims}};
  tensors.insert(tensors.begin(), {"mu_conv", rest, {1, config.classes, rest.size(1)}});
  expect_same_tensors(import_bytes(torch_file(tensors)).checkpoint, to_checkpoint(model, {}, {}));
}

TEST(ImportIbInn, LoadsAsAModel) {
  const testing::TemporaryFolder folder;
  const IbInn model(published_config(), 3);
  InputSpec input{{0.5F, 0.5F, 0.5F}, {1, 1, 1}, {"a", "b", "c", "d"}};
  const ImportedModel imported = import_bytes(torch_file(publish(model)), input);
  const std::string path = folder.file("a.safetensors");
  save_checkpoint(path, imported.checkpoint);
  const LoadedModel loaded = load_model(path);
  EXPECT_EQ(loaded.input.class_names, input.class_names);
  EXPECT_EQ(loaded.input.mean, input.mean);
  const Tensor x = testing::random_tensor({2, 16, 16, 3}, DType::f32, 1);
  const NoGradGuard no_grad;
  IbInn original(published_config(), 3);
  testing::expect_near(flow_of(loaded, path).forward(Variable(x), Phase::evaluate).y.value(),
                       original.forward(Variable(x), Phase::evaluate).y.value(), 0.0);
  testing::expect_error(ErrorKind::usage, "class-names: 1 names for a network of 4 classes", [&] {
    import_bytes(torch_file(publish(model)), {{}, {}, {"a"}});
  });
  EXPECT_EQ(import_bytes(torch_file(publish(model))).checkpoint.metadata.at("class_names"),
            R"(["0","1","2","3"])");
}

TEST(ImportIbInn, ReadsSafetensorsWithTheSameNames) {
  const testing::TemporaryFolder folder;
  const IbInn model(published_config(), 3);
  std::vector<StoredTensor> stored;
  const Tensors tensors = publish(model);
  for (const Published& each : tensors) {
    std::string name = each.name;
    if (const size_t slash = name.find('/'); slash != std::string::npos) name[slash] = '.';
    const std::span<const uint8_t> bytes(static_cast<const uint8_t*>(each.tensor.raw()),
                                         static_cast<size_t>(each.tensor.bytes()));
    stored.push_back({name, "F32", each.shape, each.tensor.bytes(),
                      [bytes](const ByteSink& sink) { sink(bytes); }});
  }
  write_safetensors(folder.file("a"), {}, stored);
  const ImportedModel imported = import_model(*open_tensor_source(folder.file("a")), {});
  expect_same_tensors(imported.checkpoint, to_checkpoint(model, {}, {}));
}

TEST(ImportIbInn, NamesWhatDoesNotFit) {
  const IbInn model(published_config(), 3);
  const Tensors whole = publish(model);
  const auto without = [&](const std::string& name) {
    Tensors tensors = whole;
    std::erase_if(tensors, [&](const Published& each) { return each.name == name; });
    EXPECT_LT(tensors.size(), whole.size()) << name;
    return tensors;
  };
  for (const char* name :
       {"inn/module_list.1.s_hi.0.weight", "inn/module_list.3.s.2.bias",
        "inn/module_list.5.s_lo.9.running_var", "inn/module_list.4.w", "mu_t", "mu_m"}) {
    std::string dotted = name;
    if (const size_t slash = dotted.find('/'); slash != std::string::npos) dotted[slash] = '.';
    expect_refused(without(name), "f: " + dotted + ": this tensor of the network is missing");
  }
  expect_refused(without("mu"), "neither a published IB-INN");
  // Without its act norm a block ends the network, so the first tensor left over is named.
  expect_refused(without("inn/module_list.6.act_norm"), "f: ");

  const auto with = [&](const Published& changed) {
    Tensors tensors = whole;
    *find(tensors, changed.name) = changed;
    return tensors;
  };
  expect_refused(with({"inn/module_list.3.act_offset", Tensor::zeros({40}), {1, 40, 1, 1}}),
                 "f: inn.module_list.3.act_offset: expected [48], found [1, 40, 1, 1]");
  expect_refused(with({"inn/module_list.3.s.0.weight", Tensor::zeros({48 * 24}), {24, 48, 1, 1}}),
                 "inn.module_list.3.s.0.weight: expected [48, 24, 1, 1], found [24, 48, 1, 1]");
  expect_refused(with({"mu_m", Tensor::zeros({5 * 570}), {5, 570}}),
                 "latent dimensions make no square image of 3 channels");
  expect_refused(with({"mu_t", Tensor::zeros({4 * 7}), {4, 7}}),
                 "mu_m: expected [7, 576], found [5, 576]");
  const Tensor twisted = Tensor::zeros({48, 48});
  twisted.fill(0.5);
  expect_refused(with({"inn/module_list.4.w", twisted, {48, 48, 1, 1}}),
                 "inn.module_list.4.w: neither a permutation nor an orthogonal matrix");
  expect_refused(with({"inn/module_list.4.w", Tensor::zeros({9}), {3, 3, 1, 1}}),
                 "inn.module_list.4.w: expected [48, 48, 1, 1], found [3, 3, 1, 1]");
  Tensors integers = whole;
  const Tensor numbers = Tensor::zeros({48}, DType::i32);
  *find(integers, "inn/module_list.3.act_offset") = {"inn/module_list.3.act_offset", numbers, {48}};
  expect_refused(integers, "expected real numbers, found I32");
  for (const char* name : {"inn/module_list.4.extra", "inn/module_list.9.s.0.weight", "inn/x\ny"}) {
    Tensors extended = whole;
    extended.push_back({name, Tensor::zeros({2}), {2}});
    expect_refused(extended, "not a tensor of the network that the others make");
  }
  Tensors dct = whole;
  dct.push_back({"inn/module_list.8.weight", Tensor::zeros({25}), {5, 5}});
  expect_refused(dct, "a DCT of 5 x 5 maps, but the means are for 2");
}

TEST(ImportIbInn, RefusesMatricesOfAnotherSize) {
  ModelConfig config = published_config();
  config.mixing = MixingKind::orthogonal;
  const IbInn model(config, 3);
  Tensors tensors = publish(model);
  *find(tensors, "inn/module_list.5.w") = {
      "inn/module_list.5.w", one_hot(Tensor::zeros({1}, DType::i32)), {1, 1, 1, 1}};
  expect_refused(tensors, "inn.module_list.5.w: expected [192, 192], found [1, 1, 1, 1]");
}

TEST(ImportIbInn, RefusesNetworksThatCannotBe) {
  const IbInn model(published_config(), 3);
  Tensors tensors = publish(model);
  *find(tensors, "inn/module_list.1.act_norm") = {
      "inn/module_list.1.act_norm", Tensor::zeros({10}), {1, 10, 1, 1}};
  expect_refused(tensors, "expected four times 1 to 64 channels, found 10");
  tensors = publish(model);
  *find(tensors, "mu") = {"mu", Tensor::zeros({0}), {1, int64_t{1} << 50, 0}};
  expect_refused(tensors, "mu: an extent of");
  *find(tensors, "mu") = {"mu", Tensor::zeros({0}), {1, int64_t{1} << 30, 0}};
  expect_refused(tensors, "no network fits these tensors: classes: expected 1 to");
}

TEST(ImportIbInn, NamesTensorsThatAreNotFinite) {
  const IbInn model(published_config(), 3);
  Tensors tensors = publish(model);
  Published* norm = find(tensors, "inn/module_list.3.act_offset");
  norm->tensor = norm->tensor.clone();
  norm->tensor.data<float>()[1] = NAN;
  EXPECT_EQ(import_bytes(torch_file(tensors)).non_finite,
            (std::vector<std::string>{"inn.module_list.3.act_offset"}));
}

Tensors publish(const ResNet& model, const std::string& prefix) {
  Tensors tensors;
  const auto add = [&](const std::string& name, const Tensor& value) {
    const Tensor stored = value.rank() == 4 ? to_channel_first(value) : value;
    tensors.push_back({prefix + name, stored, extents(stored)});
  };
  for (const Parameter* p : model.state().parameters) add(p->name, p->value);
  for (const Buffer& b : model.state().buffers) add(b.name, *b.tensor);
  tensors.push_back({prefix + "bn1.num_batches_tracked", Tensor::zeros({1}), {}});
  return tensors;
}

ModelConfig tiny_resnet50() {
  ModelConfig config = preset("resnet50");
  config.classes = 5;
  config.entry_width = 4;
  config.blocks = {2, 1, 1};
  config.strides = {1, 2, 2};
  config.widths = {2, 3, 4};
  return config;
}

TEST(ImportResNet, FindsArchitectureAndTensorsUnderAnyPrefix) {
  for (const char* prefix : {"", "state_dict/module.", "model/"})
    for (const SubnetKind subnet : {SubnetKind::bottleneck, SubnetKind::basic}) {
      ModelConfig config = tiny_resnet50();
      config.subnet = subnet;
      const ResNet model(config, 3);
      Tensors tensors = publish(model, prefix);
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

TEST(ImportResNet, NamesWhatDoesNotFit) {
  const ResNet model(tiny_resnet50(), 3);
  const Tensors whole = publish(model, "");
  const auto without = [&](const std::string& name) {
    Tensors tensors = whole;
    std::erase_if(tensors, [&](const Published& each) { return each.name == name; });
    EXPECT_LT(tensors.size(), whole.size()) << name;
    return tensors;
  };
  for (const char* name :
       {"bn1.running_mean", "layer1.0.downsample.0.weight", "fc.bias", "layer3.0.conv2.weight"})
    expect_refused(without(name), std::string("f: ") + name + ": this tensor");
  expect_refused(without("layer1.0.conv1.weight"), "neither a published IB-INN");
  Tensors extended = whole;
  extended.push_back({"layer1.0.se.weight", Tensor::zeros({2}), {2}});
  expect_refused(extended, "layer1.0.se.weight: not a tensor of this ResNet");
  Tensors changed = whole;
  *find(changed, "fc.bias") = {"fc.bias", Tensor::zeros({6}), {6}};
  expect_refused(changed, "fc.bias: expected [5], found [6]");
  Tensors both = publish(model, "ema/");
  const Tensors other = publish(model, "model/");
  both.insert(both.end(), other.begin(), other.end());
  expect_refused(both, "two networks, \"ema.conv1.weight\" and \"model.conv1.weight\"");
}

TEST(ImportLayoutOf, TellsThemApart) {
  const auto layout = [](const std::string& text) {
    const std::vector<uint8_t> bytes = testing::bytes_of(text);
    return import_layout(TorchFile(bytes, "f"));
  };
  EXPECT_EQ(layout(torch_file(publish(IbInn(published_config(), 3)))), ImportLayout::ib_inn);
  EXPECT_EQ(layout(torch_file(publish(ResNet(tiny_resnet50(), 3), ""))), ImportLayout::resnet);
  EXPECT_EQ(layout(torch_file({{"w", Tensor::zeros({2}), {2}}})), ImportLayout::unknown);
}

}  // namespace
}  // namespace pal
