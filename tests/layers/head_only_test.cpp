// Training of the head alone: the network before it stays bit for bit.
#include <gtest/gtest.h>

#include "layers/models/model.h"
#include "layers/training/train_step.h"
#include "runtime/allocator.h"
#include "tests/support/numeric.h"
#include "tests/support/random_batch.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tiny_resnet.h"

namespace pal {
namespace {

using testing::RandomBatch;
using testing::values_of;

std::vector<ModelConfig> configs() {
  ModelConfig full_rank = testing::tiny_config();
  full_rank.rank = 0;
  return {testing::tiny_config(), full_rank, testing::tiny_resnet()};
}

std::unique_ptr<Model> model_of(const ModelConfig& config, DType dtype = DType::f32) {
  auto model = build_model(config);
  model->materialise(3, dtype);
  // Running statistics that are not those of the start.
  const RandomBatch batch(config, {.count = 6, .dtype = dtype, .seed = 8});
  for (int i = 0; i < 3; ++i) model->update_statistics(batch.images);
  return model;
}

TEST(HeadOnly, GradientsAreThoseOfTheWholeBackwardPass) {
  for (const ModelConfig& config : configs()) {
    const auto model = model_of(config);
    const RandomBatch batch(config, {.count = 5, .smoothing = 0.1});
    LossSpec loss;
    loss.beta = 2.0;
    loss.factor = 0.5;
    model->parameters().zero_grad();
    const LossResult whole =
        model->forward_backward(batch.images, batch.targets, loss, Phase::evaluate);
    std::map<std::string, std::vector<double>> wanted;
    for (const Parameter* p : model->state().parameters) wanted[p->name] = values_of(p->grad);
    model->parameters().zero_grad();
    const LossResult alone = model->forward_backward_head(batch.images, batch.targets, loss);
    EXPECT_EQ(values_of(alone.scores), values_of(whole.scores));
    EXPECT_EQ(alone.loss(), whole.loss());
    int64_t heads = 0;
    for (const Parameter* p : model->state().parameters) {
      const std::vector<double> got = values_of(p->grad);
      EXPECT_EQ(got, p->head ? wanted[p->name] : std::vector<double>(got.size(), 0.0)) << p->name;
      heads += p->head ? 1 : 0;
    }
    EXPECT_EQ(heads, config.family == ModelFamily::resnet ? 2 : (config.rank > 0 ? 3 : 1));
    // It adds, as every backward pass.
    model->forward_backward_head(batch.images, batch.targets, loss);
    const Parameter* last = model->parameters().parameters().back();
    EXPECT_NEAR(testing::value_at(last->grad, 0), 2.0 * wanted[last->name][0],
                1e-6 * std::abs(wanted[last->name][0]));
  }
}

TEST(HeadOnly, NothingElseChanges) {
  for (const ModelConfig& config : configs()) {
    const auto model = model_of(config);
    ParameterStore& store = model->parameters();
    Optimizer sgd(store);
    TrainStep step(*model, sgd, false);
    StepInput input;
    const RandomBatch batch(config, {.count = 5});
    input.images = batch.images;
    input.labels = batch.labels;
    input.update.weight_decay = 0.1;
    // A momentum that would go on moving the network.
    step.run(input);
    step.take();
    const int64_t before_head = store.count_before_head();
    ASSERT_GT(before_head, 0);
    const auto part = [&](const Tensor& flat, bool head) {
      const int64_t from = head ? before_head : 0;
      return values_of(flat.view_at(from, {head ? flat.numel() - before_head : before_head}));
    };
    const auto buffers = [&] {
      std::vector<std::vector<double>> values;
      for (const Buffer& b : model->state().buffers)
        if (b.tensor->dtype() != DType::i32) values.push_back(values_of(*b.tensor));
      return values;
    };
    const auto values = part(store.all_values(), false), momentum = part(sgd.moments()[0], false);
    const auto head = part(store.all_values(), true);
    const auto statistics = buffers();
    input.head_only = true;
    double first = 0.0;
    for (int i = 0; i < 6; ++i) {
      step.run(input);
      const StepResult result = step.take();
      EXPECT_TRUE(result.taken());
      if (i == 0) first = result.loss;
      if (i == 5) {
        EXPECT_LT(result.loss, first) << config.arch;
      }
      EXPECT_EQ(result.grad_norm > 0.0, config.family == ModelFamily::resnet);
    }
    EXPECT_EQ(part(store.all_values(), false), values);
    EXPECT_EQ(part(sgd.moments()[0], false), momentum);
    EXPECT_EQ(buffers(), statistics);
    EXPECT_NE(part(store.all_values(), true), head);
  }
}

TEST(HeadOnly, UpdatesFollowTheGroupsOfTheParameters) {
  // A linear layer keeps the network's rate and decay; means have their own rate and no decay.
  const ModelConfig config = testing::tiny_resnet();
  const auto model = model_of(config);
  ParameterStore& store = model->parameters();
  Optimizer sgd(store);
  store.all_grads().fill(0.25);
  const auto before = values_of(store.all_values());
  UpdateOptions options;
  options.learning_rate = 0.5;
  options.learning_rate_means = 100.0;
  options.weight_decay = 0.1;
  options.clip_norm = 0.0;
  const int64_t from = store.count_before_head();
  const auto heads = static_cast<double>(store.all_values().numel() - from);
  // The norm is that of the trained part.
  EXPECT_NEAR(sgd.step(options, true), 0.25 * std::sqrt(heads), 1e-9);
  const auto after = values_of(store.all_values());
  for (size_t i = 0; i < before.size(); ++i) {
    const bool head = static_cast<int64_t>(i) >= from;
    EXPECT_NEAR(after[i], head ? before[i] - 0.5 * (0.25 + 0.1 * before[i]) : before[i], 1e-6);
  }
}

TEST(HeadOnly, KeepsNoActivations) {
  for (ModelConfig config : configs()) {
    config.image_size = config.family == ModelFamily::flow ? 32 : 64;
    const auto model = model_of(config);
    model->set_policy(ActivationPolicy::store);
    const RandomBatch batch(config, {.count = 8});
    const auto peak = [&](auto&& pass) {
      pass();  // Plans and copies of weights.
      Allocator::cpu().reset_peaks();
      pass();
      return Allocator::cpu().stats().peak_activations;
    };
    const int64_t evaluation = peak([&] {
      model->parameters().mark_changed();  // As between steps: the norms of the means are new.
      model->evaluate(batch.images, batch.targets, {});
    });
    const int64_t head =
        peak([&] { model->forward_backward_head(batch.images, batch.targets, {}); });
    const int64_t whole = peak([&] { model->forward_backward(batch.images, batch.targets, {}); });
    EXPECT_LE(head, evaluation + evaluation / 10) << config.arch;
    EXPECT_LT(2 * head, whole) << config.arch;
  }
}

}  // namespace
}  // namespace pal
