#include "layers/training/train_step.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "layers/models/ib_inn.h"
#include "tests/support/numeric.h"
#include "tests/support/random_batch.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::values_of;

ModelConfig tiny_config() {
  ModelConfig config;
  config.image_size = 8;
  config.classes = 3;
  config.blocks = {1, 1};
  config.widths = {4, 4};
  return config;
}

StepInput input_of(uint64_t key) {
  const testing::RandomBatch batch(tiny_config(), {.count = 5, .seed = key});
  StepInput input;
  input.images = batch.images;
  input.labels = batch.labels;
  input.smoothing = 0.05;
  input.loss.beta = 4.0;
  return input;
}

TEST(TrainStep, IsForwardLossBackwardAndUpdate) {
  IbInn model(tiny_config(), 7), twin(tiny_config(), 7);
  Optimizer sgd(model.parameters()), twin_sgd(twin.parameters());
  TrainStep step(model, sgd, false);
  for (uint64_t key = 1; key <= 3; ++key) {
    StepInput input = input_of(key);
    input.loss.factor = key == 1 ? 0.05 : 1.0;
    step.run(input);
    EXPECT_FALSE(step.by_graph());
    ASSERT_EQ(step.pending(), 1);
    const StepResult result = step.take();

    Tensor targets = Tensor::empty({5, 3});
    targets.fill(0.05F / 3.0F);
    for (int64_t i = 0; i < 5; ++i)
      targets.data<float>()[i * 3 + i % 3] = 1.0F - 0.05F + 0.05F / 3.0F;
    twin.parameters().zero_grad();
    const LossResult wanted = twin.forward_backward(input.images, targets, input.loss);
    const double norm = twin_sgd.step(input.update);
    EXPECT_NEAR(result.loss, wanted.loss() / input.loss.factor, 1e-6);
    EXPECT_NEAR(result.nll_joint, wanted.summary.item(1), 1e-6);
    EXPECT_NEAR(result.cross_entropy, wanted.summary.item(2), 1e-6);
    EXPECT_NEAR(result.grad_norm, norm, 1e-5 * norm);
    int64_t right = 0;
    for (int64_t i = 0; i < 5; ++i) {
      const float* row = wanted.scores.data<float>() + i * 3;
      right += std::max_element(row, row + 3) - row == i % 3 ? 1 : 0;
    }
    EXPECT_DOUBLE_EQ(result.accuracy, static_cast<double>(right) / 5.0);
    EXPECT_TRUE(result.taken());
  }
  testing::expect_near(model.parameters().all_values(), twin.parameters().all_values(), 1e-5,
                       "parameters");
}

TEST(TrainStep, KeepsResultsInOrderAndRefusesWhatDoesNotFit) {
  IbInn model(tiny_config(), 7);
  Optimizer sgd(model.parameters());
  TrainStep step(model, sgd, false);
  std::vector<double> alone;
  for (uint64_t key = 1; key <= 2; ++key) {
    step.run(input_of(key));
    if (key == 1) alone.push_back(step.take().loss);
  }
  alone.push_back(step.take().loss);
  IbInn twin(tiny_config(), 7);
  Optimizer twin_sgd(twin.parameters());
  TrainStep late(twin, twin_sgd, false);
  for (uint64_t key = 1; key <= 2; ++key) late.run(input_of(key));
  EXPECT_EQ(late.pending(), 2);
  for (const double loss : alone) EXPECT_EQ(late.take().loss, loss);
  expect_error(ErrorKind::usage, "a graph needs a GPU", [&] { TrainStep(model, sgd, true); });
  StepInput wrong = input_of(1);
  wrong.labels.data<int32_t>()[4] = 3;
  expect_error(ErrorKind::usage, "label 3 of image 4", [&] { step.run(wrong); });
}

}  // namespace
}  // namespace pal
