#include "layers/models/transfer.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/numeric.h"
#include "tests/support/random_batch.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tiny_resnet.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::values_of;

InputSpec input_of(const std::vector<std::string>& names) {
  return {{0.5F, 0.5F, 0.5F}, {0.25F, 0.25F, 0.25F}, names};
}

/// A flow with full-rank means and a latent act norm.
ModelConfig flow_config(int64_t classes = 4) {
  ModelConfig config = testing::tiny_config();
  config.rank = 0;
  config.classes = classes;
  return config;
}

ModelConfig resnet_config(int64_t classes) {
  ModelConfig config = testing::tiny_resnet();
  config.classes = classes;
  return config;
}

std::map<std::string, Tensor> tensors_of(const Model& model) {
  std::map<std::string, Tensor> tensors;
  for (const Parameter* p : model.state().parameters) tensors[p->name] = p->value.clone();
  for (const Buffer& b : model.state().buffers) tensors[b.name] = b.tensor->clone();
  return tensors;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

/// A checkpoint of a network that is nowhere as it starts, and the network.
struct Source {
  Source(const ModelConfig& config, const std::vector<std::string>& names)
      : model(build_model(config)) {
    model->materialise(99);
    for (const Parameter* p : model->state().parameters)
      p->value.copy_from(
          testing::random_tensor(p->shape, DType::f32, random_stream_of(p->name), 0.3));
    for (const Buffer& b : model->state().buffers)
      if (b.name.ends_with("running_mean")) b.tensor->fill(0.25);
    checkpoint = to_checkpoint(*model, input_of(names), {});
    tensors = tensors_of(*model);
  }
  std::unique_ptr<Model> model;
  Checkpoint checkpoint;
  std::map<std::string, Tensor> tensors;
};

/// A model that took over what it could, what it was before, and the report.
struct Target {
  Target(const ModelConfig& config, const Source& source, const InputSpec& input)
      : model(build_model(config)) {
    model->materialise(5);
    before = tensors_of(*model);
    report = transfer_state(source.checkpoint, "FILE", input, *model);
    after = tensors_of(*model);
    // The report is true, tensor by tensor.
    EXPECT_EQ(report.loaded.size() + report.made_new.size(), after.size());
    for (const std::string& name : report.loaded) {
      const auto wanted = source.tensors.find(name);
      if (report.same_classes) {
        EXPECT_TRUE(same_bits(after[name], wanted->second)) << name;
      }
    }
    for (const std::string& name : report.made_new) {
      if (report.classes_loaded == 0) {
        EXPECT_TRUE(same_bits(after[name], before[name])) << name;
      }
    }
  }
  std::vector<double> row(const std::string& name, int64_t i) {
    return values_of(after.at(name).slice_batch(i, 1));
  }
  std::unique_ptr<Model> model;
  std::map<std::string, Tensor> before, after;
  TransferReport report;
};

std::vector<double> row_of(const Source& source, const std::string& name, int64_t i) {
  return values_of(source.tensors.at(name).slice_batch(i, 1));
}

const std::vector<std::string> kFour = {"a", "b", "c", "d"};

TEST(Transfer, TakesEverythingOverFromTheSameNetwork) {
  for (const ModelConfig& config : {flow_config(), testing::tiny_config(), resnet_config(4)}) {
    const Source source(config, kFour);
    Target target(config, source, input_of(kFour));
    const TransferReport& report = target.report;
    EXPECT_TRUE(report.made_new.empty());
    EXPECT_TRUE(report.left_out.empty());
    EXPECT_EQ(report.values_loaded, report.values);
    EXPECT_TRUE(report.network_loaded);
    EXPECT_TRUE(report.new_act_norms.empty());
    EXPECT_EQ(report.classes_loaded, 4);
    EXPECT_EQ(report.text(),
              fmt::format("loaded {0} of {0} tensors ({1} of {1} values) from FILE",
                          source.tensors.size(),
                          report.values < 10000
                              ? std::to_string(report.values)
                              : fmt::format("{:.1f} k", static_cast<double>(report.values) / 1e3)));
    // Derived values are renewed too: the network computes the same.
    const testing::RandomBatch batch(config);
    testing::expect_near(target.model->evaluate(batch.images, batch.targets, {}).scores,
                         source.model->evaluate(batch.images, batch.targets, {}).scores, 0.0);
  }
}

TEST(Transfer, OtherClassesGetNewMeans) {
  const Source source(flow_config(), kFour);
  Target target(flow_config(3), source, input_of({"x", "y", "z"}));
  EXPECT_EQ(target.report.made_new, std::vector<std::string>{"mu_mean"});
  EXPECT_EQ(target.report.left_out, std::vector<std::string>{"mu_mean"});
  EXPECT_EQ(target.report.classes_loaded, 0);
  EXPECT_TRUE(target.report.network_loaded);
  const std::string text = target.report.text();
  EXPECT_NE(text.find("\nnew: the class means (3 classes, the file has 4)\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("left out of the file: mu_mean"), std::string::npos) << text;

  const Source resnet(resnet_config(4), kFour);
  Target linear(resnet_config(4), resnet, input_of({"w", "x", "y", "z"}));
  EXPECT_EQ(linear.report.made_new, (std::vector<std::string>{"fc.weight", "fc.bias"}));
  EXPECT_NE(linear.report.text().find("the linear layer (the file's 4 classes have other names)"),
            std::string::npos)
      << linear.report.text();
}

TEST(Transfer, ClassesOfTheSameNameKeepTheirRows) {
  const Source source(flow_config(), kFour);
  Target target(flow_config(3), source, input_of({"new", "d", "a"}));
  EXPECT_EQ(target.report.classes_loaded, 2);
  EXPECT_EQ(target.row("mu_mean", 0), values_of(target.before.at("mu_mean").slice_batch(0, 1)));
  EXPECT_EQ(target.row("mu_mean", 1), row_of(source, "mu_mean", 3));
  EXPECT_EQ(target.row("mu_mean", 2), row_of(source, "mu_mean", 0));
  EXPECT_EQ(target.report.values_loaded + 16 * 16 * 3, target.report.values);
  EXPECT_TRUE(target.report.left_out.empty());
  const std::string text = target.report.text();
  EXPECT_NE(text.find("\nclasses by name: 2 of 3 (the file has 4)\n"), std::string::npos) << text;
  EXPECT_NE(text.find("new: the class means of 1 of 3 classes"), std::string::npos) << text;

  // Another order alone, with factors of shared prototypes.
  const Source low_rank(testing::tiny_config(), kFour);
  Target ordered(testing::tiny_config(), low_rank, input_of({"b", "a", "d", "c"}));
  EXPECT_TRUE(ordered.report.made_new.empty());
  for (const char* name : {"mu_mean", "mu_alpha"})
    for (int64_t i = 0; i < 4; ++i)
      EXPECT_EQ(ordered.row(name, i), row_of(low_rank, name, i ^ 1)) << name;

  const Source resnet(resnet_config(4), kFour);
  Target linear(resnet_config(2), resnet, input_of({"c", "other"}));
  EXPECT_EQ(linear.row("fc.weight", 0), row_of(resnet, "fc.weight", 2));
  EXPECT_EQ(testing::value_at(linear.after.at("fc.bias"), 0),
            testing::value_at(resnet.tensors.at("fc.bias"), 2));
  EXPECT_EQ(linear.row("fc.weight", 1), values_of(linear.before.at("fc.weight").slice_batch(1, 1)));
}

TEST(Transfer, NumbersAndDoubleNamesTellNoClass) {
  const Source source(flow_config(), {"0", "1", "2", "3"});
  EXPECT_EQ(Target(flow_config(), source, input_of({"0", "1", "2", "3"})).report.classes_loaded, 4);
  EXPECT_EQ(Target(flow_config(3), source, input_of({"0", "1", "2"})).report.classes_loaded, 0);
  EXPECT_EQ(Target(flow_config(3), source, input_of({"3", "2", "x"})).report.classes_loaded, 0);
  const Source cranes(flow_config(), {"crane", "crane", "maillot", "dog"});
  EXPECT_EQ(Target(flow_config(3), cranes, input_of({"crane", "dog", "x"})).report.classes_loaded,
            1);
}

TEST(Transfer, AnotherImageSizeLeavesWhatDependsOnIt) {
  const Source source(flow_config(), kFour);
  ModelConfig larger = flow_config();
  larger.image_size = 32;
  Target target(larger, source, input_of(kFour));
  const std::string latent = target.report.new_latent_norm;
  EXPECT_FALSE(latent.empty());
  EXPECT_EQ(target.report.new_act_norms, std::vector<std::string>{latent});
  EXPECT_EQ(target.report.made_new,
            (std::vector<std::string>{latent + ".act_norm", latent + ".act_offset", "mu_mean"}));
  const std::string text = target.report.text();
  EXPECT_NE(text.find("the class means (of another size in the file), the latent act norm (32x32 "
                      "against 16x16)"),
            std::string::npos)
      << text;
  // Only that act norm is fitted then.
  auto& flow = dynamic_cast<IbInn&>(*target.model);
  const testing::RandomBatch batch(larger, {.count = 6});
  flow.fit_act_norms(batch.images, {.only = target.report.new_act_norms, .phase = Phase::evaluate});
  for (const auto& [name, tensor] : tensors_of(flow))
    EXPECT_EQ(same_bits(tensor, target.after.at(name)), !name.starts_with(latent + ".")) << name;

  // Low-rank means keep the part over the pooled dimensions; a ResNet takes any size.
  const Source low_rank(testing::tiny_config(), kFour);
  ModelConfig low_larger = testing::tiny_config();
  low_larger.image_size = 32;
  Target pooled(low_larger, low_rank, input_of(kFour));
  EXPECT_EQ(pooled.row("mu_mean", 2), row_of(low_rank, "mu_mean", 2));
  EXPECT_NE(pooled.report.text().find("new: the latent act norm (32x32 against 16x16), mu_alpha, "
                                      "mu_prototypes"),
            std::string::npos)
      << pooled.report.text();
  const Source resnet(resnet_config(4), kFour);
  ModelConfig smaller = resnet_config(4);
  smaller.image_size = 11;
  EXPECT_TRUE(Target(smaller, resnet, input_of(kFour)).report.made_new.empty());
}

TEST(Transfer, BlocksAreLoadedWholeOrNotAtAll) {
  const Source source(flow_config(), kFour);
  ModelConfig wider = flow_config();
  wider.widths = {3, 6};
  Target target(wider, source, input_of(kFour));
  EXPECT_FALSE(target.report.network_loaded);
  std::set<std::string> loaded, fresh;
  for (const std::string& name : target.report.loaded) loaded.insert(block_of_tensor(name));
  for (const std::string& name : target.report.made_new) fresh.insert(block_of_tensor(name));
  for (const std::string& block : fresh) EXPECT_FALSE(loaded.contains(block)) << block;
  EXPECT_EQ(target.report.new_act_norms.size(), fresh.size());
  // Their permutations are the fresh ones although they would fit.
  for (const std::string& block : fresh)
    EXPECT_TRUE(
        same_bits(target.after.at(block + ".w_index"), target.before.at(block + ".w_index")));
  ASSERT_EQ(target.report.differences.size(), 1U);
  EXPECT_NE(target.report.text().find("widths: 3,4 in the file, 3,6 here"), std::string::npos);

  // A block with another mixing has other tensors.
  ModelConfig swapped = flow_config();
  swapped.mixing = MixingKind::none;
  auto model = build_model(swapped);
  model->materialise(5);
  expect_error(ErrorKind::usage, "mixing permutation",
               [&] { transfer_state(source.checkpoint, "FILE", input_of(kFour), *model); });
}

TEST(Transfer, TellsWhatChangesTheMeaningOfEqualTensors) {
  const Source source(flow_config(), kFour);
  ModelConfig other = flow_config();
  other.clamp = 1.5;
  other.act_norm = ActNormKind::exponential;
  other.mu_init = 2.0;
  InputSpec input = input_of(kFour);
  input.mean[1] = 0.4F;
  Target target(other, source, input);
  EXPECT_TRUE(target.report.made_new.empty());
  EXPECT_TRUE(target.report.inputs_differ);
  const std::string text = target.report.text();
  EXPECT_NE(
      text.find("\nclamp: 0.7 in the file, 1.5 here\nact-norm: softplus in the file, exp here\n"
                "mean and std of the inputs are not the file's"),
      std::string::npos)
      << text;
  EXPECT_EQ(target.report.differences.size(), 2U);
  const Source resnet(resnet_config(4), kFour);
  ModelConfig strides = resnet_config(4);
  strides.strides = {1, 1};
  strides.clamp = 3.0;
  EXPECT_EQ(Target(strides, resnet, input_of(kFour)).report.differences.size(), 1U);
}

TEST(Transfer, RefusesWhatDoesNotFitAndCopiesNothing) {
  const Source source(flow_config(), kFour);
  const auto refused = [&](const Checkpoint& checkpoint, const ModelConfig& config, ErrorKind kind,
                           const std::string& message) {
    auto model = build_model(config);
    model->materialise(5);
    const Tensor before = model->parameters().all_values().clone();
    const std::vector<std::string> names(static_cast<size_t>(config.classes), "x");
    expect_error(kind, message,
                 [&] { transfer_state(checkpoint, "FILE", input_of(names), *model); });
    EXPECT_TRUE(same_bits(model->parameters().all_values(), before));
  };
  refused(source.checkpoint, resnet_config(4), ErrorKind::usage,
          "FILE holds a flow (tiny), this run trains a ResNet (tiny-resnet)");
  ModelConfig grey = flow_config();
  grey.channels = 2;
  refused(
      source.checkpoint, grey, ErrorKind::usage,
      "FILE: no block of its network fits: made for channels 3 (tiny), this run's has channels 2");
  Checkpoint other_type = source.checkpoint;
  other_type.tensors.front().second = other_type.tensors.front().second.to(DType::f64);
  refused(other_type, flow_config(), ErrorKind::data, "expected f32, found f64");
  Checkpoint names = source.checkpoint;
  names.metadata["class_names"] = "[\"a\"]";
  refused(names, flow_config(), ErrorKind::data, "FILE: class_names: expected 4 names, found 1");
  auto model = build_model(flow_config());
  model->materialise(5);
  expect_error(ErrorKind::usage, "expected 4 class names, got 1",
               [&] { transfer_state(source.checkpoint, "FILE", input_of({"a"}), *model); });
}

}  // namespace
}  // namespace pal
