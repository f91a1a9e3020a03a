#include <gtest/gtest.h>

#include "layers/checkpoint/safetensors.h"
#include "layers/checkpoint/torch_file.h"
#include "runtime/error.h"
#include "tests/support/numeric.h"
#include "tests/support/published_files.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"
#include "tests/support/torch_writer.h"

namespace pal {
namespace {

using testing::expect_refused;
using testing::expect_same_tensors;
using testing::find_tensor;
using testing::import_bytes;
using testing::moved;
using testing::one_hot;
using testing::publish;
using testing::Published;
using testing::published_config;
using testing::PublishedTensors;
using testing::torch_file;
using testing::TorchWriter;

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
    PublishedTensors tensors = publish(model);
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
  PublishedTensors tensors = publish(model);
  const Tensor whole = find_tensor(tensors, "mu")->tensor;
  const int64_t mean_dims = config.channels << 6;
  const Tensor first = whole.slice_channels(0, mean_dims).clone();
  const Tensor rest = whole.slice_channels(mean_dims, whole.size(1) - mean_dims).clone();
  *find_tensor(tensors, "mu") = {"mu", first, {1, config.classes, mean_dims}};
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
  const PublishedTensors tensors = publish(model);
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
  const PublishedTensors whole = publish(model);
  const auto without = [&](const std::string& name) {
    PublishedTensors tensors = whole;
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
    PublishedTensors tensors = whole;
    *find_tensor(tensors, changed.name) = changed;
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
  PublishedTensors integers = whole;
  const Tensor numbers = Tensor::zeros({48}, DType::i32);
  *find_tensor(integers, "inn/module_list.3.act_offset") = {
      "inn/module_list.3.act_offset", numbers, {48}};
  expect_refused(integers, "expected real numbers, found I32");
  for (const char* name : {"inn/module_list.4.extra", "inn/module_list.9.s.0.weight", "inn/x\ny"}) {
    PublishedTensors extended = whole;
    extended.push_back({name, Tensor::zeros({2}), {2}});
    expect_refused(extended, "not a tensor of the network that the others make");
  }
  PublishedTensors dct = whole;
  dct.push_back({"inn/module_list.8.weight", Tensor::zeros({25}), {5, 5}});
  expect_refused(dct, "a DCT of 5 x 5 maps, but the means are for 2");
}

TEST(ImportIbInn, RefusesMatricesOfAnotherSize) {
  ModelConfig config = published_config();
  config.mixing = MixingKind::orthogonal;
  const IbInn model(config, 3);
  PublishedTensors tensors = publish(model);
  *find_tensor(tensors, "inn/module_list.5.w") = {
      "inn/module_list.5.w", one_hot(Tensor::zeros({1}, DType::i32)), {1, 1, 1, 1}};
  expect_refused(tensors, "inn.module_list.5.w: expected [192, 192], found [1, 1, 1, 1]");
}

TEST(ImportIbInn, RefusesNetworksThatCannotBe) {
  const IbInn model(published_config(), 3);
  PublishedTensors tensors = publish(model);
  *find_tensor(tensors, "inn/module_list.1.act_norm") = {
      "inn/module_list.1.act_norm", Tensor::zeros({10}), {1, 10, 1, 1}};
  expect_refused(tensors, "expected four times 1 to 64 channels, found 10");
  tensors = publish(model);
  *find_tensor(tensors, "mu") = {"mu", Tensor::zeros({0}), {1, int64_t{1} << 50, 0}};
  expect_refused(tensors, "mu: an extent of");
  *find_tensor(tensors, "mu") = {"mu", Tensor::zeros({0}), {1, int64_t{1} << 30, 0}};
  expect_refused(tensors, "no network fits these tensors: classes: expected 1 to");
}

TEST(ImportIbInn, NamesTensorsThatAreNotFinite) {
  const IbInn model(published_config(), 3);
  PublishedTensors tensors = publish(model);
  Published* norm = find_tensor(tensors, "inn/module_list.3.act_offset");
  norm->tensor = norm->tensor.clone();
  norm->tensor.data<float>()[1] = NAN;
  EXPECT_EQ(import_bytes(torch_file(tensors)).non_finite,
            (std::vector<std::string>{"inn.module_list.3.act_offset"}));
}

TEST(ImportIbInn, KnowsTheWrappersOfItsModules) {
  const IbInn model(published_config(), 3);
  const PublishedTensors whole = publish(model);
  for (const auto& [network, others] : std::vector<std::pair<const char*, const char*>>{
           {"inn/module.", ""},
           {"inn/_orig_mod.", ""},
           {"inn/module._orig_mod.", ""},
           {"state_dict/inn.", "state_dict/"},
           {"state_dict/module.inn.", "state_dict/module."},
           {"state_dict/inn.module.", "state_dict/"}}) {
    const PublishedTensors tensors = moved(whole, network, others);
    const ImportedModel imported = import_bytes(torch_file(tensors));
    expect_same_tensors(imported.checkpoint, to_checkpoint(model, {}, {}));
    EXPECT_EQ(imported.ignored.at("tmp_var"), 1) << network;
  }
  PublishedTensors tensors = moved(whole, "inn/module.", "");
  *find_tensor(tensors, "inn/module.module_list.4.w") = {
      "inn/module.module_list.4.w", Tensor::zeros({9}), {3, 3, 1, 1}};
  expect_refused(tensors, "f: inn.module.module_list.4.w: expected [48, 48, 1, 1]");
  tensors = moved(whole, "inn/module.", "");
  tensors.push_back({"inn/module.other", Tensor::zeros({2}), {2}});
  expect_refused(tensors, "f: inn.module.other: not a tensor of the network");
  expect_refused(moved(whole, "inn/wrapped.", ""), "neither a published IB-INN");
  expect_refused(moved(whole, "inn/module.", "mus/"), "neither a published IB-INN");
}

}  // namespace
}  // namespace pal
