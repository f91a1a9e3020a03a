// Networks in bf16 on a GPU whose subnets take norm_product, against those that take the plain ops.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/arrays/elementwise.h"
#include "layers/training/train_step.h"
#include "runtime/allocator.h"
#include "tests/cuda/libraries.h"
#include "tests/cuda/parity.h"
#include "tests/support/random_batch.h"
#include "tests/support/tiny_model.h"

namespace pal::test {
namespace {

using testing::RandomBatch;
using testing::seeded_batch;

/// A block whose 1x1 convolutions behind batch norms can all be fused: channels in multiples of
/// eight.
ModelConfig small_config(DType compute) {
  ModelConfig config = testing::tiny_config();
  config.blocks = {1};
  config.strides = {1};
  config.widths = {8};
  config.compute = compute;
  return config;
}

/// What a step computes.
struct Outcome {
  double loss = 0.0;
  Tensor gradients, grad_x, statistics;
};

Outcome run(const ModelConfig& config, bool fused, const BlockPolicy& block) {
  const MathScope scope({.fused_products = fused});
  IbInn model(config, 3);
  model.to(gpu());
  model.chain().set_options({{block}, {}});
  const RandomBatch batch = seeded_batch(config, 3);
  Outcome outcome;
  const auto result = model.forward_backward(on_gpu(batch.images), on_gpu(batch.targets), {},
                                             Phase::train, &outcome.grad_x);
  outcome.loss = result.loss();
  outcome.gradients = on_cpu(model.parameters().all_grads()).clone();
  outcome.grad_x = on_cpu(outcome.grad_x);
  for (const auto& buffer : model.state().buffers)
    if (buffer.name.ends_with("running_var")) outcome.statistics = on_cpu(*buffer.tensor).clone();
  return outcome;
}

/// |a - b| / |b|, Euclidean.
double distance(const Tensor& a, const Tensor& b) {
  const auto left = testing::values_of(a);
  const auto right = testing::values_of(b);
  double difference = 0.0, norm = 0.0;
  for (size_t i = 0; i < left.size(); ++i) {
    difference += (left[i] - right[i]) * (left[i] - right[i]);
    norm += right[i] * right[i];
  }
  return std::sqrt(difference / norm);
}

TEST(NormProductModelCuda, IsAsCloseToFloatAsThePlainOps) {
  for (const BlockPolicy& block : {BlockPolicy(ActivationPolicy::store),
                                   BlockPolicy(ActivationPolicy::tapes, TapeForm::narrow),
                                   BlockPolicy(ActivationPolicy::invert)}) {
    const Outcome exact = run(small_config(DType::f32), false, block);
    const Outcome plain = run(small_config(DType::bf16), false, block);
    const Outcome fused = run(small_config(DType::bf16), true, block);
    const std::string what = name_of(block);
    const auto expect_as_close = [&](const Tensor Outcome::*member, const char* name) {
      const double by_plain = distance(plain.*member, exact.*member);
      const double by_fused = distance(fused.*member, exact.*member);
      EXPECT_GT(by_fused, 0.0) << what << ", " << name;
      EXPECT_LT(by_fused, 1.5 * by_plain) << what << ", " << name;
    };
    EXPECT_NEAR(exact.loss, fused.loss, 2e-2) << what;
    expect_as_close(&Outcome::gradients, "gradients");
    expect_as_close(&Outcome::grad_x, "gradient of the images");
    expect_close(plain.statistics, fused.statistics, 1e-2, what + " running variance");
    // Sums come in another order: these are not the plain ops.
    EXPECT_GT(distance(fused.gradients, plain.gradients), 0.0) << what;
  }
}

TEST(NormProductModelCuda, OtherChannelsTakeThePlainOps) {
  ModelConfig config = small_config(DType::bf16);
  config.widths = {3};
  const Outcome plain = run(config, false, ActivationPolicy::store);
  const Outcome fused = run(config, true, ActivationPolicy::store);
  expect_same(plain.gradients, fused.gradients, "gradients");
  expect_same(plain.statistics, fused.statistics, "running variance");
}

TEST(NormProductModelCuda, KeepsNoNormalisedValues) {
  const ModelConfig config = small_config(DType::bf16);
  const auto kept = [&](bool fused) {
    const MathScope scope({.fused_products = fused});
    IbInn model(config, 3);
    model.to(gpu());
    model.chain().set_options({{ActivationPolicy::store}, {}});
    const RandomBatch batch = seeded_batch(config, 3);
    const auto latent = model.forward(Variable(on_gpu(batch.images), true), Phase::train);
    return Allocator::of(gpu()).stats().current_of(Tag::subnet);
  };
  // Before the 1x1 convolutions of 24, 8 and 32 channels, at 4x4.
  EXPECT_EQ(kept(false) - kept(true), 3 * 16 * (24 + 8 + 32) * size_of(DType::bf16));
}

/// Losses of some training steps, and the parameters after them.
struct Training {
  std::vector<double> losses;
  Tensor values;
};

Training train(bool fused, bool use_graph, int steps) {
  const MathScope scope({.fused_products = fused});
  const ModelConfig config = small_config(DType::bf16);
  IbInn model(config, 3);
  model.to(gpu());
  Optimizer sgd(model.parameters());
  TrainStep step(model, sgd, use_graph);
  Training training;
  for (int i = 0; i < steps; ++i) {
    const RandomBatch batch = seeded_batch(config, 3, static_cast<uint64_t>(i));
    StepInput input;
    input.images = on_gpu(batch.images);
    input.labels = batch.labels;
    input.update = {.learning_rate = 0.02, .learning_rate_means = 0.02};
    step.run(input);
    training.losses.push_back(step.take().loss);
  }
  EXPECT_EQ(step.by_graph(), use_graph);
  training.values = on_cpu(model.parameters().all_values()).clone();
  return training;
}

TEST(NormProductModelCuda, TrainingStaysWithThePlainOps) {
  const Training plain = train(false, false, 3);
  const Training fused = train(true, false, 3);
  for (size_t i = 0; i < plain.losses.size(); ++i)
    EXPECT_NEAR(plain.losses[i], fused.losses[i], 2e-2) << i;
  expect_close(plain.values, fused.values, 1e-2, "parameters");
}

TEST(NormProductModelCuda, AGraphGivesTheSameBits) {
  const Training eager = train(true, false, 5);
  const Training recorded = train(true, true, 5);
  EXPECT_EQ(eager.losses, recorded.losses);
  expect_same(eager.values, recorded.values, "parameters");
}

}  // namespace
}  // namespace pal::test
