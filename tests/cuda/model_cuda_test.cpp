// Whole models on the GPU: the same numbers as on the CPU, and a graph's the same as eager ones.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "kernels/arrays/elementwise.h"
#include "layers/models/model_io.h"
#include "layers/training/train_step.h"
#include "tests/cuda/parity.h"
#include "tests/support/numeric.h"
#include "tests/support/policies.h"
#include "tests/support/random_batch.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace pal::test {
namespace {

using testing::RandomBatch;
using testing::seeded_batch;
using testing::tiny_config;

std::vector<std::pair<std::string, ModelConfig>> configs() {
  const ModelConfig plain = tiny_config();
  std::vector<std::pair<std::string, ModelConfig>> list = {{"tiny", plain}};
  const auto add = [&](const std::string& name, auto&& change) {
    ModelConfig config = plain;
    change(config);
    list.emplace_back(name, config);
  };
  add("glow, orthogonal, welling", [](ModelConfig& c) {
    c.coupling = CouplingKind::glow;
    c.mixing = MixingKind::orthogonal;
    c.welling = true;
  });
  add("gin, swap", [](ModelConfig& c) {
    c.gin = true;
    c.mixing = MixingKind::swap;
  });
  add("householder", [](ModelConfig& c) { c.mixing = MixingKind::householder; });
  add("conv1x1, full rank, basic", [](ModelConfig& c) {
    c.mixing = MixingKind::conv1x1;
    c.rank = 0;
    c.subnet = SubnetKind::basic;
    c.dct = DctMap::Flavour::orthonormal;
  });
  return list;
}

/// Twins: the same parameters on both devices.
struct Twins {
  explicit Twins(const ModelConfig& config) : cpu(config, 3), gpu_twin(config, 3) {
    gpu_twin.to(gpu());
  }
  IbInn cpu, gpu_twin;
};

TEST(CudaModel, ForwardMatchesTheCpu) {
  for (const auto& [name, config] : configs())
    for (const Phase phase : {Phase::evaluate, Phase::train}) {
      Twins twins(config);
      const RandomBatch batch = seeded_batch(config, 3);
      const NoGradGuard no_grad;
      const auto wanted = twins.cpu.forward(Variable(batch.images), phase);
      const auto found = twins.gpu_twin.forward(Variable(on_gpu(batch.images)), phase);
      expect_close(wanted.y.value(), found.y.value(), 1e-4, name);
      expect_close(wanted.log_det.value(), found.log_det.value(), 1e-6, name);
    }
}

TEST(CudaModel, GradientsMatchTheCpuUnderEveryPolicy) {
  for (const auto& [name, config] : configs())
    for (const BlockPolicy& policy : testing::some_policies()) {
      Twins twins(config);
      const RandomBatch batch = seeded_batch(config, 3);
      Tensor wanted_x, found_x;
      twins.cpu.chain().set_options({{policy}, {}});
      twins.gpu_twin.chain().set_options({{policy}, {2}});
      const auto wanted =
          twins.cpu.forward_backward(batch.images, batch.targets, {}, Phase::train, &wanted_x);
      const auto found = twins.gpu_twin.forward_backward(
          on_gpu(batch.images), on_gpu(batch.targets), {}, Phase::train, &found_x);
      const std::string what = name + " " + name_of(policy);
      EXPECT_NEAR(wanted.loss(), found.loss(), 1e-5) << what;
      expect_close(wanted.scores, found.scores, 1e-4, what);
      // Gradients are small: their largest is the scale.
      const Tensor grads = twins.cpu.parameters().all_grads();
      // A rebuilt input may lie on the other side of a ReLU's corner.
      const double tolerance = keeps_input(policy.policy) ? 2e-3 : 2e-2;
      const double scale = 1.0 / testing::largest_magnitude(grads);
      const auto scaled = [&](const Tensor& t, double factor) {
        const Tensor copy = on_cpu(t).clone();
        cpu::scale(copy, factor);
        return copy;
      };
      expect_close(scaled(grads, scale), scaled(twins.gpu_twin.parameters().all_grads(), scale),
                   tolerance, what + " parameters");
      const double x_scale = 1.0 / testing::largest_magnitude(wanted_x);
      expect_close(scaled(wanted_x, x_scale), scaled(found_x, x_scale), tolerance,
                   what + " images");
    }
}

TEST(CudaModel, InvertsItself) {
  const ModelConfig config = tiny_config();
  IbInn model(config, 3);
  model.to(gpu());
  const RandomBatch batch = seeded_batch(config, 3);
  const NoGradGuard no_grad;
  const auto latent = model.forward(Variable(on_gpu(batch.images)), Phase::evaluate);
  const Tensor log_det = latent.log_det.value().clone();
  expect_close(batch.images, model.inverse(latent.y.value(), log_det), 1e-3, "images");
  expect_close(Tensor::zeros({3}, DType::f64), log_det, 1e-3, "log-determinants cancel");
}

/// Results of some training steps.
std::vector<StepResult> train(IbInn& model, Optimizer& sgd, bool use_graph, int steps,
                              double smoothing = 0.05) {
  TrainStep step(model, sgd, use_graph);
  std::vector<StepResult> results;
  for (int i = 0; i < steps; ++i) {
    // The eager one is a short batch, too.
    const RandomBatch batch =
        seeded_batch(model.config(), i == 6 ? 2 : 3, static_cast<uint64_t>(i));
    StepInput input;
    input.images = batch.images.to(model.device(), Tag::data);
    input.labels = batch.labels;
    input.smoothing = smoothing;
    input.update = {.learning_rate = 0.01 * (i + 1), .learning_rate_means = 0.02};
    input.loss.factor = i < 1 ? 0.05 : 1.0;
    input.eager = i == 6;
    if (i == 6) model.chain().monitor_next(2);
    step.run(input);
    EXPECT_EQ(step.by_graph(), use_graph && i > TrainStep::kWarmUps && i != 6) << i;
    // One step behind, as the trainer does it.
    if (step.pending() > 1) results.push_back(step.take());
  }
  while (step.pending() > 0) results.push_back(step.take());
  return results;
}

TEST(CudaTraining, StaysWithTheCpu) {
  Twins twins(tiny_config());
  Optimizer cpu_sgd(twins.cpu.parameters());
  Optimizer gpu_sgd(twins.gpu_twin.parameters());
  const auto wanted = train(twins.cpu, cpu_sgd, false, 8);
  const auto found = train(twins.gpu_twin, gpu_sgd, false, 8);
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_NEAR(wanted[i].loss, found[i].loss, 1e-4) << i;
    EXPECT_NEAR(wanted[i].grad_norm, found[i].grad_norm, 1e-2 * wanted[i].grad_norm) << i;
    EXPECT_EQ(wanted[i].accuracy, found[i].accuracy) << i;
    EXPECT_TRUE(found[i].taken());
  }
  expect_close(twins.cpu.parameters().all_values(), twins.gpu_twin.parameters().all_values(), 1e-3,
               "parameters");
  const InversionCheck check = twins.gpu_twin.chain().last_check();
  EXPECT_EQ(check.block, 2);
  EXPECT_LT(check.relative_error, 1e-4);
}

TEST(CudaTraining, AGraphGivesTheSameBits) {
  const ModelConfig config = tiny_config();
  IbInn eager(config, 3), recorded(config, 3);
  eager.to(gpu());
  recorded.to(gpu());
  Optimizer eager_sgd(eager.parameters()), recorded_sgd(recorded.parameters());
  const auto wanted = train(eager, eager_sgd, false, 9);
  const auto found = train(recorded, recorded_sgd, true, 9);
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(wanted[i].loss, found[i].loss) << i;
    EXPECT_EQ(wanted[i].grad_norm, found[i].grad_norm) << i;
  }
  expect_same(eager.parameters().all_values(), recorded.parameters().all_values(), "parameters");
  expect_same(eager_sgd.moments()[0], recorded_sgd.moments()[0], "momentum");
  for (size_t i = 0; i < eager.state().buffers.size(); ++i)
    expect_same(*eager.state().buffers[i].tensor, *recorded.state().buffers[i].tensor,
                eager.state().buffers[i].name);
}

TEST(CudaTraining, SkipsTheStepsThatTheCpuSkips) {
  for (const bool use_graph : {false, true}) {
    Twins twins(tiny_config());
    const OptimizerSpec spec = {OptimizerKind::adamw, true};
    Optimizer cpu(twins.cpu.parameters(), spec), device(twins.gpu_twin.parameters(), spec);
    TrainStep cpu_step(twins.cpu, cpu, false), step(twins.gpu_twin, device, use_graph);
    const auto saved = [](const IbInn& model, const Optimizer& optimizer) {
      std::map<std::string, Tensor> tensors;
      for (const auto& [name, tensor] :
           to_checkpoint(model, {}, {}, optimizer.flat_states()).tensors)
        tensors[name] = on_cpu(tensor).clone();
      return tensors;
    };
    // Taken; not finite in an image; a row that is too long; and nothing more.
    for (const char what : std::string("ggggg1gg1g123hh")) {
      RandomBatch batch = seeded_batch(twins.cpu.config(), 3);
      const bool bad = what != 'g' && what != 'h';
      if (bad) batch.images.data<float>()[17] = std::numeric_limits<float>::quiet_NaN();
      StepInput input;
      input.labels = batch.labels;
      input.update.learning_rate = input.update.learning_rate_means = 1e-3;
      input.update.bad_steps = 2;
      const auto before = saved(twins.gpu_twin, device);
      input.images = on_gpu(batch.images);
      step.run(input);
      const StepResult found = step.take();
      input.images = batch.images;
      cpu_step.run(input);
      const StepResult wanted = cpu_step.take();
      EXPECT_EQ(found.guard.verdict, wanted.guard.verdict) << what;
      EXPECT_EQ(found.guard.updates, wanted.guard.updates);
      EXPECT_EQ(found.guard.not_finite, wanted.guard.not_finite);
      EXPECT_EQ(found.guard.power2, wanted.guard.power2);
      EXPECT_EQ(found.taken(), what == 'g');
      if (found.taken()) continue;
      for (const auto& [name, tensor] : saved(twins.gpu_twin, device))
        expect_same(before.at(name), tensor, name);
    }
    EXPECT_EQ(step.by_graph(), use_graph);
    expect_close(twins.cpu.parameters().all_values(), twins.gpu_twin.parameters().all_values(),
                 1e-3, "parameters");
    expect_close(cpu.average()->values(), device.average()->values(), 1e-3, "average");
  }
}

TEST(CudaTraining, RefusesWhatDoesNotFit) {
  IbInn model(tiny_config(), 3);
  Optimizer sgd(model.parameters());
  testing::expect_error(ErrorKind::usage, "a graph needs a GPU",
                        [&] { TrainStep(model, sgd, true); });
  TrainStep step(model, sgd, false);
  RandomBatch batch = seeded_batch(model.config(), 3);
  StepInput input;
  input.images = on_gpu(batch.images);
  input.labels = batch.labels;
  testing::expect_error(ErrorKind::usage, "images on cuda:0, the model on cpu",
                        [&] { step.run(input); });
  input.images = batch.images;
  batch.labels.data<int32_t>()[1] = 4;
  testing::expect_error(ErrorKind::usage, "label 4 of image 1", [&] { step.run(input); });
}

TEST(CudaCheckpoint, MovesBetweenDevices) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("gpu.safetensors");
  IbInn model(tiny_config(), 3);
  model.to(gpu());
  Optimizer sgd(model.parameters());
  train(model, sgd, false, 2);
  const InputSpec input{{0.5F, 0.5F, 0.5F}, {0.2F, 0.2F, 0.2F}, {"a", "b", "c", "d"}};
  save_checkpoint(path, to_checkpoint(model, input, {2, 0, 6}, sgd.flat_states()));
  const LoadedModel loaded = load_model(path);
  EXPECT_TRUE(loaded.model->device().is_cpu());
  expect_same(model.parameters().all_values(), loaded.model->parameters().all_values(), "values");
  loaded.model->to(gpu());
  const RandomBatch batch = seeded_batch(model.config(), 3);
  const auto wanted = model.evaluate(on_gpu(batch.images), on_gpu(batch.targets), {});
  const auto found = loaded.model->evaluate(on_gpu(batch.images), on_gpu(batch.targets), {});
  expect_same(wanted.scores, found.scores, "scores");
  IbInn again(tiny_config(), 4);
  again.to(gpu());
  Optimizer again_sgd(again.parameters());
  load_state(load_checkpoint(path), path, again, again_sgd.flat_states());
  expect_same(sgd.moments()[0], again_sgd.moments()[0], "momentum");
  expect_same(model.parameters().all_values(), again.parameters().all_values(), "values again");
}

TEST(CudaModel, Bf16SubnetsStayNearFloat32) {
  ModelConfig config = tiny_config();
  IbInn exact(config, 3);
  config.compute = DType::bf16;
  IbInn rounded(config, 3);
  rounded.to(gpu());
  const RandomBatch batch = seeded_batch(config, 3);
  const NoGradGuard no_grad;
  const auto wanted = exact.forward(Variable(batch.images), Phase::train);
  const auto found = rounded.forward(Variable(on_gpu(batch.images)), Phase::train);
  expect_close(wanted.y.value(), found.y.value(), 2e-2, "z");
}

TEST(CudaModel, ActNormsFitTheData) {
  Twins twins(tiny_config());
  const RandomBatch batch = seeded_batch(tiny_config(), 8);
  twins.cpu.fit_act_norms(batch.images);
  twins.gpu_twin.fit_act_norms(on_gpu(batch.images));
  expect_close(twins.cpu.parameters().all_values(), twins.gpu_twin.parameters().all_values(), 1e-3,
               "parameters");
}

}  // namespace
}  // namespace pal::test
