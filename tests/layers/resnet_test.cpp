#include "layers/models/resnet.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "autograd/gradient_check.h"
#include "kernels/arrays/elementwise.h"
#include "kernels/library/platform.h"
#include "kernels/loss/softmax.h"
#include "layers/checkpoint/safetensors.h"
#include "layers/models/model_io.h"
#include "layers/training/train_step.h"
#include "runtime/allocator.h"
#include "tests/support/numeric.h"
#include "tests/support/policies.h"
#include "tests/support/random_batch.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_resnet.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::random_tensor;
using testing::RandomBatch;
using testing::set_value;
using testing::tiny_basic_resnet;
using testing::tiny_cifar_resnet;
using testing::tiny_resnet;
using testing::value_at;
using testing::values_of;

/// A batch with smoothed labels.
RandomBatch batch_of(const ModelConfig& config, DType dtype = DType::f32, int64_t count = 4) {
  return RandomBatch(config, {.count = count, .dtype = dtype, .smoothing = 0.1});
}

std::set<std::string> names_of(const Model& model) {
  std::set<std::string> names;
  for (const Parameter* p : model.state().parameters) names.insert(p->name);
  for (const Buffer& b : model.state().buffers) names.insert(b.name);
  EXPECT_EQ(names.size(), model.state().parameters.size() + model.state().buffers.size());
  return names;
}

/// torchvision's names of ResNet-50, without the counters of batches.
std::set<std::string> torchvision_names() {
  std::set<std::string> names = {"fc.weight", "fc.bias"};
  const auto add = [&](const std::string& conv, const std::string& norm) {
    names.insert(conv + ".weight");
    for (const char* part : {"weight", "bias", "running_mean", "running_var"})
      names.insert(norm + "." + part);
  };
  add("conv1", "bn1");
  const int blocks[] = {3, 4, 6, 3};
  for (int stage = 1; stage <= 4; ++stage)
    for (int i = 0; i < blocks[stage - 1]; ++i) {
      const std::string block = fmt::format("layer{}.{}.", stage, i);
      for (const char* number : {"1", "2", "3"})
        add(block + "conv" + number, block + "bn" + number);
      if (i == 0) add(block + "downsample.0", block + "downsample.1");
    }
  return names;
}

TEST(ResNet50, HasThePublishedNamesAndSizes) {
  const int64_t before = Allocator::cpu().stats().current_total;
  const auto model = build_model(preset("resnet50"));
  EXPECT_FALSE(model->has_density());
  EXPECT_EQ(names_of(*model), torchvision_names());
  int64_t parameters = 0;
  std::map<std::string, Shape> shapes;
  for (const Parameter* p : model->state().parameters) {
    parameters += p->shape.numel();
    shapes[p->name] = p->shape;
    EXPECT_EQ(p->group, ParameterGroup::network);
  }
  EXPECT_EQ(parameters, 25'557'032);
  EXPECT_EQ(shapes["conv1.weight"], (Shape{64, 7, 7, 3}));
  EXPECT_EQ(shapes["layer1.0.conv1.weight"], (Shape{64, 1, 1, 64}));
  EXPECT_EQ(shapes["layer1.1.conv1.weight"], (Shape{64, 1, 1, 256}));
  EXPECT_EQ(shapes["layer4.0.conv2.weight"], (Shape{512, 3, 3, 512}));
  EXPECT_EQ(shapes["layer4.0.downsample.0.weight"], (Shape{2048, 1, 1, 1024}));
  EXPECT_EQ(shapes["fc.weight"], (Shape{1000, 2048}));
  // The stride of the first block in a stage is on the 3x3 convolution.
  const auto& block = *dynamic_cast<const ResNet&>(*model).blocks()[3].block;
  const auto rows = block.branch().summary({1, 56, 56, 256});
  EXPECT_EQ(rows[0].output, (Shape{1, 56, 56, 128}));
  EXPECT_EQ(rows[2].output, (Shape{1, 28, 28, 128}));
  EXPECT_EQ(Allocator::cpu().stats().current_total, before);
}

TEST(ResNet, StartsAsHeAndTorchDo) {
  ModelConfig config = tiny_resnet();
  config.widths = {32, 48};
  config.entry_width = 40;
  config.classes = 100;
  const ResNet model(config, 3);
  const auto deviation = [](const Tensor& t) {
    return std::sqrt(testing::inner(t, t) / static_cast<double>(t.numel()));
  };
  for (const Parameter* p : model.state().parameters) {
    const Shape& s = p->shape;
    const bool norm = p->name.find("bn") != std::string::npos || p->name.ends_with("sample.1.bias");
    if (s.rank() == 4) {
      const auto fan_out = static_cast<double>(s[0] * s[1] * s[2]);
      const double wanted = std::sqrt(2.0 / fan_out);
      // Four standard deviations of the estimate.
      const double tolerance = 4.0 * wanted / std::sqrt(2.0 * static_cast<double>(s.numel()));
      EXPECT_NEAR(deviation(p->value), wanted, tolerance) << p->name;
    } else if (norm) {
      EXPECT_EQ(value_at(p->value, 0), p->name.ends_with("weight") ? 1.0 : 0.0) << p->name;
    }
  }
  const double wanted = 1.0 / std::sqrt(3.0 * 4 * 48);
  const Parameter* weight = model.state().parameters[model.state().parameters.size() - 2];
  EXPECT_EQ(weight->name, "fc.weight");
  EXPECT_NEAR(deviation(weight->value), wanted, 0.03 * wanted);
}

TEST(ResNet, TheCifarStemIsTheSmallOneOfEveryPixel) {
  const Tensor x = random_tensor({2, 7, 7, 1}, DType::f32, 1);
  const NoGradGuard no_grad;
  const auto stem = [&](EntryKind entry) {
    ModelConfig config = tiny_cifar_resnet();
    config.entry = entry;
    config.blocks = {1};
    config.strides = {1};
    config.widths = {config.entry_width};
    ResNet model(config, 5);
    // So the only block hands on what it gets.
    for (const Parameter* p : model.state().parameters)
      if (p->name == "layer1.0.bn2.weight") p->value.fill(0.0);
    return model.feature_map(Variable(x), Phase::evaluate).value();
  };
  const Tensor every = stem(EntryKind::cifar);
  const Tensor second = stem(EntryKind::haar);
  ASSERT_EQ(every.shape(), (Shape{2, 7, 7, 6}));
  ASSERT_EQ(second.shape(), (Shape{2, 4, 4, 6}));
  EXPECT_GT(testing::inner(second, second), 1.0);
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t i = 0; i < 4; ++i)
      for (int64_t j = 0; j < 4; ++j)
        for (int64_t c = 0; c < 6; ++c)
          EXPECT_NEAR(value_at(every, ((n * 7 + 2 * i) * 7 + 2 * j) * 6 + c),
                      value_at(second, ((n * 4 + i) * 4 + j) * 6 + c), 1e-6);
}

TEST(ResNet, GradientsOfTheWholeLoss) {
  for (const ModelConfig& config : {tiny_resnet(), tiny_basic_resnet(), tiny_cifar_resnet()})
    for (const Phase phase : {Phase::train, Phase::evaluate}) {
      ResNet model(config, 5, DType::f64);
      // No sum of a branch and a shortcut is exactly zero then, a corner of its ReLU.
      for (const Parameter* p : model.state().parameters)
        if (p->init.kind == Init::Kind::constant)
          cpu::axpy(0.3, random_tensor(p->shape, DType::f64, random_stream_of(p->name)), p->value);
      const RandomBatch batch = batch_of(config, DType::f64);
      const LossSpec loss{2.0, 0.7};
      const Tensor grad_x = Tensor::zeros(batch.images.shape(), DType::f64);
      std::vector<CheckedTensor> checked = {{"x", batch.images, grad_x}};
      for (const Parameter* p : model.state().parameters)
        checked.push_back({p->name, p->value, p->grad});
      const GradientReport report = check_gradients(
          [&] {
            const NoGradGuard no_grad;
            const Tensor scores = model.forward(Variable(batch.images), phase).value();
            double sum = 0.0;
            for (int64_t n = 0; n < scores.size(0); ++n) {
              double total = 0.0;
              for (int64_t y = 0; y < config.classes; ++y)
                total += std::exp(value_at(scores, n * config.classes + y));
              for (int64_t y = 0; y < config.classes; ++y) {
                const int64_t at = n * config.classes + y;
                sum -= value_at(batch.targets, at) * (value_at(scores, at) - std::log(total));
              }
            }
            return loss.factor * sum / static_cast<double>(scores.size(0));
          },
          [&] {
            Tensor gradient;
            model.forward_backward(batch.images, batch.targets, loss, phase, &gradient);
            grad_x.copy_from(gradient);
          },
          checked, {.most_entries = 4});
      EXPECT_LT(report.worst, 1e-6) << config.image_size << ": " << report.text();
    }
}

TEST(ResNet, PoliciesGiveTheSameBits) {
  std::vector<ModelConfig> configs = {tiny_resnet(), tiny_basic_resnet(), tiny_cifar_resnet()};
  if (cpu_has_bf16()) {
    configs.push_back(tiny_resnet());
    configs.back().compute = DType::bf16;
  }
  for (const ModelConfig& config : configs)
    for (const Phase phase : {Phase::train, Phase::evaluate}) {
      const RandomBatch batch = batch_of(config, DType::f32);
      const auto run = [&](const BlockPolicy& policy) {
        ResNet model(config, 5);
        model.set_policy(policy);
        Tensor grad_x;
        const auto result = model.forward_backward(batch.images, batch.targets, {}, phase, &grad_x);
        std::vector<std::vector<double>> all = {values_of(result.scores), values_of(grad_x),
                                                values_of(model.parameters().all_grads())};
        // Moved once, not by the second run.
        for (const Buffer& b : model.state().buffers) all.push_back(values_of(*b.tensor));
        return all;
      };
      const auto stored = run(ActivationPolicy::store);
      for (const BlockPolicy& policy : testing::all_policies(false))
        EXPECT_EQ(run(policy), stored) << name_of(policy);
    }
}

TEST(ResNet, PoliciesKeepLess) {
  ModelConfig config = tiny_basic_resnet();
  config.image_size = 32;
  config.blocks = {6, 1};
  const RandomBatch batch = batch_of(config, DType::f32, 16);
  const auto peak = [&](const BlockPolicy& policy) {
    ResNet model(config, 5);
    model.set_policy(policy);
    model.forward_backward(batch.images, batch.targets, {});
    const int64_t before = Allocator::cpu().stats().current_total;
    Allocator::cpu().reset_peaks();
    model.forward_backward(batch.images, batch.targets, {});
    EXPECT_EQ(Allocator::cpu().stats().current_total, before) << "something was left behind";
    return Allocator::cpu().stats().peak_activations;
  };
  EXPECT_LT(2 * peak(ActivationPolicy::recompute), peak(ActivationPolicy::store));
  EXPECT_LT(peak({ActivationPolicy::store, TapeForm::lean}), peak(ActivationPolicy::store));
}

TEST(ResNet, TheLossIsTheCrossEntropyWhateverBetaIs) {
  const ModelConfig config = tiny_resnet();
  const RandomBatch batch = batch_of(config);
  ResNet model(config, 5);
  const auto wanted = model.evaluate(batch.images, batch.targets, {});
  const Tensor losses = Tensor::empty({4}, DType::f64);
  cpu::cross_entropy(wanted.scores, batch.targets, losses);
  expect_near(wanted.cross_entropy, losses, 1e-12);
  const double mean = testing::inner(losses, testing::constant_tensor({4}, 0.25));
  for (const double beta : {0.0, 3.0, std::numeric_limits<double>::infinity()}) {
    const auto result = model.evaluate(batch.images, batch.targets, {beta, 0.5});
    EXPECT_NEAR(result.loss(), 0.5 * mean, 1e-12);
    EXPECT_EQ(result.summary.item(1), 0.0);
    EXPECT_NEAR(result.summary.item(2), mean, 1e-12);
    expect_near(result.nll_joint, Tensor::zeros({4}, DType::f64), 0.0);
    expect_near(result.nll_class, Tensor::zeros({4}, DType::f64), 0.0);
    EXPECT_EQ(result.scores.shape(), (Shape{4, config.classes}));
    EXPECT_EQ(result.scores.dtype(), DType::f32);
  }
}

TEST(ResNet, LearnsAToySetByTrainSteps) {
  for (ModelConfig config : {tiny_resnet(), tiny_basic_resnet()})
    for (const ActivationPolicy policy : {ActivationPolicy::store, ActivationPolicy::recompute}) {
      ResNet model(config, 5);
      model.set_policy(policy);
      Optimizer sgd(model.parameters());
      TrainStep step(model, sgd, false);
      const RandomBatch batch = batch_of(config, DType::f32, 8);
      StepInput input;
      input.images = batch.images;
      input.labels = batch.labels;
      input.update.learning_rate = 0.05;
      std::vector<StepResult> results;
      for (int i = 0; i < 40; ++i) {
        step.run(input);
        results.push_back(step.take());
        ASSERT_TRUE(results.back().taken());
        EXPECT_EQ(results.back().nll_joint, 0.0);
        EXPECT_EQ(results.back().loss, results.back().cross_entropy);
      }
      EXPECT_LT(results.back().loss, 0.2 * results.front().loss) << config.image_size;
      EXPECT_EQ(results.back().accuracy, 1.0);
    }
}

TEST(ResNet, RunningStatisticsMoveByATenth) {
  const ModelConfig config = tiny_basic_resnet();
  ResNet model(config, 5);
  const RandomBatch batch = batch_of(config);
  const auto running = [&](const std::string& name) {
    for (const Buffer& b : model.state().buffers)
      if (b.name == name) return values_of(*b.tensor);
    return std::vector<double>();
  };
  for (const char* name : {"bn1.running_mean", "layer2.0.downsample.1.running_var"}) {
    const auto start = running(name);
    model.set_average_count(1);
    model.update_statistics(batch.images);
    const auto measured = running(name);
    model.set_average_count(0);
    model.update_statistics(random_tensor(batch.images.shape(), DType::f32, 9));
    const auto before = running(name);
    model.update_statistics(batch.images);
    const auto after = running(name);
    ASSERT_FALSE(start.empty());
    for (size_t i = 0; i < start.size(); ++i) {
      EXPECT_NE(measured[i], start[i]);
      EXPECT_NEAR(after[i], 0.9 * before[i] + 0.1 * measured[i], 1e-6) << name;
    }
  }
}

TEST(ResNet, Bf16StaysNearFloat) {
  if (!cpu_has_bf16()) GTEST_SKIP() << "SKIPPED: this processor has no bf16";
  ModelConfig config = tiny_resnet();
  const RandomBatch batch = batch_of(config, DType::f32, 16);
  const auto run = [&](DType compute) {
    config.compute = compute;
    ResNet model(config, 1);
    Tensor grad_x;
    const auto result =
        model.forward_backward(batch.images, batch.targets, {}, Phase::train, &grad_x);
    EXPECT_EQ(model.parameters().dtype(), DType::f32);
    EXPECT_EQ(result.scores.dtype(), DType::f32);
    EXPECT_EQ(grad_x.dtype(), DType::f32);
    return result;
  };
  const auto wanted = run(DType::f32);
  const auto actual = run(DType::bf16);
  EXPECT_NE(actual.loss(), wanted.loss());
  EXPECT_NEAR(actual.loss(), wanted.loss(), 0.03 * wanted.loss());
}

TEST(ResNet, AnyImageSizeTrains) {
  for (const char* arch : {"resnet-small", "resnet50"})
    for (const int64_t size : {1, 2, 28, 33}) {
      ModelConfig config = preset(arch);
      config.image_size = size;
      config.classes = 3;
      config.blocks.assign(config.blocks.size(), 1);
      config.widths.assign(config.widths.size(), 4);
      config.entry_width = 4;
      ASSERT_NO_THROW(validate(config));
      const auto model = build_model(config);
      model->materialise(1);
      const RandomBatch batch = batch_of(config);
      EXPECT_TRUE(std::isfinite(model->forward_backward(batch.images, batch.targets, {}).loss()))
          << size;
      EXPECT_NO_THROW(model->check_usable("after a step"));
    }
}

TEST(ResNet, ComesBackFromACheckpoint) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("resnet.safetensors");
  const ModelConfig config = tiny_resnet();
  const RandomBatch batch = batch_of(config);
  ResNet model(config, 7);
  Optimizer sgd(model.parameters());
  model.forward_backward(batch.images, batch.targets, {});
  sgd.step({});
  const InputSpec input{{0.5F, 0.5F, 0.5F}, {0.2F, 0.2F, 0.2F}, {"a", "b", "c", "d"}};
  save_checkpoint(path, to_checkpoint(model, input, {1, 0, 4}, sgd.flat_states()));

  const LoadedModel loaded = load_model(path);
  EXPECT_EQ(loaded.model->config().family, ModelFamily::resnet);
  expect_near(loaded.model->parameters().all_values(), model.parameters().all_values(), 0.0);
  expect_near(loaded.model->evaluate(batch.images, batch.targets, {}).scores,
              model.evaluate(batch.images, batch.targets, {}).scores, 0.0);
  expect_error(ErrorKind::usage, "only classifies", [&] { (void)flow_of(loaded, path); });
  // Outside, convolutions are channel-first.
  const SafetensorsFile file = SafetensorsFile::read(path);
  EXPECT_EQ(file.tensor("model.conv1.weight").shape(), (Shape{6, 3, 7, 7}));
  EXPECT_EQ(file.tensor("model.fc.weight").shape(), (Shape{4, 16}));
  EXPECT_TRUE(file.contains("optimizer.momentum.layer2.0.downsample.0.weight"));

  ResNet other(config, 8);
  Optimizer fresh(other.parameters());
  load_state(load_checkpoint(path), path, other, fresh.flat_states());
  expect_near(fresh.moments()[0], sgd.moments()[0], 0.0);
}

TEST(ResNet, RefusesWhatItIsNot) {
  ResNet model(tiny_resnet(), 1);
  for (const ActivationPolicy policy : kActivationPolicies)
    if (!keeps_input(policy))
      expect_error(ErrorKind::usage, "cannot be inverted", [&] { model.set_policy(policy); });
  expect_error(ErrorKind::usage, "policies, got 7",
               [&] { model.set_policies(std::vector<BlockPolicy>(7, ActivationPolicy::store)); });
  expect_error(ErrorKind::usage, "ibinn-mnist is a flow", [] { ResNet flow(ModelConfig{}); });
  const NoGradGuard no_grad;
  EXPECT_THROW(model.forward(Variable(Tensor::zeros({2, 19, 19, 1})), Phase::evaluate), Error);
  EXPECT_THROW(model.forward(Variable(Tensor::zeros({0, 19, 19, 3})), Phase::evaluate), Error);
}

}  // namespace
}  // namespace pal
