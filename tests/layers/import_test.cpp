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

ImportedModel import_bytes(const std::string& text, const InputSpec& input = {},
                           const ImportChoice& choice = {}) {
  const std::vector<uint8_t> bytes = testing::bytes_of(text);
  return import_model(TorchFile(bytes, "f"), input, choice);
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
  const Tensors wrapped = publish(model, "state_dict/module.");
  Tensors longer = wrapped;
  longer.push_back({"state_dict/module.layer1.0.se.weight", Tensor::zeros({2}), {2}});
  expect_refused(longer, "f: state_dict.module.layer1.0.se.weight: not a tensor of this ResNet");
}

/// A published flow in which "inn/" and the other tensors' names begin otherwise.
Tensors moved(Tensors tensors, const std::string& network, const std::string& others) {
  for (Published& each : tensors) {
    const bool inside = each.name.starts_with("inn/");
    each.name = inside ? network + each.name.substr(4) : others + each.name;
  }
  return tensors;
}

Tensors joined(Tensors first, const Tensors& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

TEST(ImportIbInn, KnowsTheWrappersOfItsModules) {
  const IbInn model(published_config(), 3);
  const Tensors whole = publish(model);
  for (const auto& [network, others] : std::vector<std::pair<const char*, const char*>>{
           {"inn/module.", ""},
           {"inn/_orig_mod.", ""},
           {"inn/module._orig_mod.", ""},
           {"state_dict/inn.", "state_dict/"},
           {"state_dict/module.inn.", "state_dict/module."},
           {"state_dict/inn.module.", "state_dict/"}}) {
    const Tensors tensors = moved(whole, network, others);
    const ImportedModel imported = import_bytes(torch_file(tensors));
    expect_same_tensors(imported.checkpoint, to_checkpoint(model, {}, {}));
    EXPECT_EQ(imported.ignored.at("tmp_var"), 1) << network;
  }
  Tensors tensors = moved(whole, "inn/module.", "");
  *find(tensors, "inn/module.module_list.4.w") = {
      "inn/module.module_list.4.w", Tensor::zeros({9}), {3, 3, 1, 1}};
  expect_refused(tensors, "f: inn.module.module_list.4.w: expected [48, 48, 1, 1]");
  tensors = moved(whole, "inn/module.", "");
  tensors.push_back({"inn/module.other", Tensor::zeros({2}), {2}});
  expect_refused(tensors, "f: inn.module.other: not a tensor of the network");
  expect_refused(moved(whole, "inn/wrapped.", ""), "neither a published IB-INN");
  expect_refused(moved(whole, "inn/module.", "mus/"), "neither a published IB-INN");
}

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
    Tensors both = joined(publish(weights, each.first), publish(average, each.second));
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
  const Tensors one = publish(weights, "state_dict/module.");
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
  const Tensors both = joined(moved(publish(weights), "state_dict/inn.", "state_dict/"),
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
