// Gradients of images alone on the GPU: those of the CPU, and none of parameters.
#include <gtest/gtest.h>

#include <cmath>

#include "layers/models/model.h"
#include "tests/cuda/parity.h"
#include "tests/support/numeric.h"
#include "tests/support/policies.h"
#include "tests/support/random_batch.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tiny_resnet.h"

namespace pal::test {
namespace {

using testing::RandomBatch;
using testing::tiny_basic_resnet;
using testing::tiny_config;
using testing::tiny_resnet;
using testing::values_of;

std::vector<std::pair<std::string, ModelConfig>> input_gradient_configs() {
  std::vector<std::pair<std::string, ModelConfig>> list = {
      {"tiny", tiny_config()}, {"resnet", tiny_resnet()}, {"basic resnet", tiny_basic_resnet()}};
  const auto add = [&](const std::string& name, auto&& change) {
    ModelConfig config = tiny_config();
    change(config);
    list.emplace_back(name, config);
  };
  add("full rank, gin", [](ModelConfig& c) {
    c.rank = 0;
    c.gin = true;
  });
  add("householder", [](ModelConfig& c) { c.mixing = MixingKind::householder; });
  add("glow, conv1x1", [](ModelConfig& c) {
    c.coupling = CouplingKind::glow;
    c.mixing = MixingKind::conv1x1;
  });
  add("orthogonal, welling", [](ModelConfig& c) {
    c.mixing = MixingKind::orthogonal;
    c.welling = true;
  });
  add("haar, basic", [](ModelConfig& c) {
    c.entry = EntryKind::haar;
    c.image_size = 8;
    c.blocks = {1, 1};
    c.subnet = SubnetKind::basic;
  });
  return list;
}

/// The same parameters and running statistics on both devices; the latter not those of the start.
struct InputTwins {
  explicit InputTwins(const ModelConfig& config)
      : host(build_model(config)), device(build_model(config)) {
    for (Model* model : {host.get(), device.get()}) {
      model->materialise(3, DType::f32);
      const RandomBatch batch(config, {.count = 6, .seed = 8});
      for (int i = 0; i < 3; ++i) model->update_statistics(batch.images);
    }
    device->to(gpu());
  }
  std::unique_ptr<Model> host, device;
};

/// Of the function sum_i w_i l_0 l_1 + w_i nll: different weights for each image.
ScoreGradients weighted(const ModelScores& said) {
  ScoreGradients gradients;
  gradients.scores.assign(said.scores.size(), 0.0);
  const auto classes = static_cast<size_t>(said.classes);
  for (size_t i = 0; i < said.scores.size() / classes; ++i) {
    const double w = 0.1 + 0.2 * static_cast<double>(i);
    gradients.scores[i * classes] = w * said.scores[i * classes + 1];
    gradients.scores[i * classes + 1] = w * said.scores[i * classes];
    if (!said.nll_joint.empty()) gradients.nll_joint.push_back(w);
  }
  return gradients;
}

/// Gradients may be small: the largest of the CPU's is the scale.
void expect_same_gradient(const Tensor& wanted, const Tensor& found, double tolerance,
                          const std::string& what) {
  EXPECT_LT(testing::relative_difference(values_of(on_cpu(found)), values_of(wanted)), tolerance)
      << what;
}

TEST(CudaInputGradient, FollowsTheCpuAndLeavesParametersAlone) {
  for (const auto& [name, config] : input_gradient_configs()) {
    const InputTwins twins(config);
    const RandomBatch batch(config, {.count = 3});
    const std::vector<BlockPolicy> policies = testing::some_policies(twins.host->has_density());
    const Tensor wanted = twins.host->input_gradient(batch.images, weighted);
    for (const BlockPolicy& policy : policies) {
      twins.device->set_policy(policy);
      const std::string what = name + ", " + name_of(policy);
      const Tensor found = twins.device->input_gradient(on_gpu(batch.images), weighted);
      EXPECT_EQ(found.device(), gpu()) << what;
      expect_same_gradient(wanted, found, 1e-4, what);
      const std::vector<double> grads = values_of(on_cpu(twins.device->parameters().all_grads()));
      EXPECT_EQ(grads, std::vector<double>(grads.size(), 0.0)) << what;
    }
  }
}

TEST(CudaInputGradient, SchedulesGiveTheSameBits) {
  for (const ModelConfig& config : {tiny_config(), tiny_basic_resnet()}) {
    const InputTwins twins(config);
    const Tensor images = on_gpu(RandomBatch(config, {.count = 2}).images);
    run_schedules(
        [&] { return std::vector<Tensor>{twins.device->input_gradient(images, weighted)}; });
  }
}

}  // namespace
}  // namespace pal::test
