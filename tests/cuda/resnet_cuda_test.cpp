// Residual networks on the GPU: the same numbers as on the CPU, and a graph's the same as eager
// ones.
#include <gtest/gtest.h>

#include "kernels/arrays/elementwise.h"
#include "layers/models/resnet.h"
#include "layers/training/train_step.h"
#include "tests/cuda/parity.h"
#include "tests/support/numeric.h"
#include "tests/support/policies.h"
#include "tests/support/random_batch.h"
#include "tests/support/tiny_resnet.h"

namespace pal::test {
namespace {

using testing::RandomBatch;
using testing::seeded_batch;
using testing::tiny_basic_resnet;
using testing::tiny_resnet;

/// Gradients are small: their largest is the scale.
Tensor scaled(const Tensor& gradients, double largest) {
  const Tensor copy = on_cpu(gradients).clone();
  cpu::scale(copy, 1.0 / largest);
  return copy;
}

TEST(CudaResNet, GradientsMatchTheCpuUnderEveryPolicy) {
  for (const ModelConfig& config : {tiny_resnet(), tiny_basic_resnet()})
    for (const BlockPolicy& policy : testing::some_policies(false)) {
      ResNet twin(config, 3), net(config, 3);
      net.to(gpu());
      twin.set_policy(policy);
      net.set_policy(policy);
      const RandomBatch batch = seeded_batch(config, 4);
      Tensor wanted_x, found_x;
      const auto wanted =
          twin.forward_backward(batch.images, batch.targets, {}, Phase::train, &wanted_x);
      const auto found = net.forward_backward(on_gpu(batch.images), on_gpu(batch.targets), {},
                                              Phase::train, &found_x);
      const std::string what = config.arch + " " + name_of(policy);
      EXPECT_NEAR(wanted.loss(), found.loss(), 1e-5) << what;
      expect_close(wanted.scores, found.scores, 1e-4, what + " scores");
      const Tensor grads = twin.parameters().all_grads();
      const double largest = testing::largest_magnitude(grads);
      expect_close(scaled(grads, largest), scaled(net.parameters().all_grads(), largest), 2e-3,
                   what + " parameters");
      const double largest_x = testing::largest_magnitude(wanted_x);
      expect_close(scaled(wanted_x, largest_x), scaled(found_x, largest_x), 2e-3, what + " images");
      for (size_t i = 0; i < net.state().buffers.size(); ++i)
        expect_close(*twin.state().buffers[i].tensor, *net.state().buffers[i].tensor, 1e-4,
                     net.state().buffers[i].name);
      const auto wanted_after = twin.evaluate(batch.images, batch.targets, {0.0, 0.5});
      const auto found_after =
          net.evaluate(on_gpu(batch.images), on_gpu(batch.targets), {0.0, 0.5});
      expect_close(wanted_after.scores, found_after.scores, 1e-4, what + " evaluation");
      expect_close(wanted_after.summary, found_after.summary, 1e-4, what + " summary");
    }
}

TEST(CudaResNet, Bf16StaysNearFloat32) {
  ModelConfig config = tiny_resnet();
  ResNet twin(config, 3);
  config.compute = DType::bf16;
  ResNet net(config, 3);
  net.to(gpu());
  const RandomBatch batch = seeded_batch(config, 8);
  const auto wanted = twin.forward_backward(batch.images, batch.targets, {});
  const auto found = net.forward_backward(on_gpu(batch.images), on_gpu(batch.targets), {});
  EXPECT_NEAR(wanted.loss(), found.loss(), 0.03 * wanted.loss());
}

std::vector<StepResult> train(const ModelConfig& config, ActivationPolicy policy, bool use_graph,
                              Tensor& values) {
  ResNet net(config, 3);
  net.to(gpu());
  net.set_policy(policy);
  Optimizer sgd(net.parameters());
  TrainStep step(net, sgd, use_graph);
  std::vector<StepResult> results;
  for (uint64_t i = 0; i < 6; ++i) {
    const RandomBatch batch = seeded_batch(config, 4, i);
    StepInput input;
    input.images = on_gpu(batch.images);
    input.labels = batch.labels;
    input.smoothing = 0.1;
    step.run(input);
    EXPECT_EQ(step.by_graph(), use_graph && i >= TrainStep::kWarmUps);
    results.push_back(step.take());
  }
  values = on_cpu(net.parameters().all_values()).clone();
  return results;
}

TEST(CudaResNet, GraphsGiveTheBitsOfEagerSteps) {
  for (const ActivationPolicy policy : {ActivationPolicy::store, ActivationPolicy::recompute}) {
    Tensor eager_values, graph_values;
    const auto eager = train(tiny_resnet(), policy, false, eager_values);
    const auto graph = train(tiny_resnet(), policy, true, graph_values);
    expect_same(eager_values, graph_values, name_of(policy));
    for (size_t i = 0; i < eager.size(); ++i) {
      EXPECT_TRUE(eager[i].taken());
      EXPECT_EQ(eager[i].loss, graph[i].loss);
      EXPECT_EQ(eager[i].grad_norm, graph[i].grad_norm);
      EXPECT_EQ(eager[i].accuracy, graph[i].accuracy);
    }
  }
}

}  // namespace
}  // namespace pal::test
