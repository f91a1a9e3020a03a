#include "layers/models/ib_inn.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "autograd/gradient_check.h"
#include "kernels/library/platform.h"
#include "layers/training/optimizer.h"
#include "runtime/allocator.h"
#include "runtime/parallel.h"
#include "tests/support/numeric.h"
#include "tests/support/policies.h"
#include "tests/support/random_batch.h"
#include "tests/support/tiny_model.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::random_tensor;
using testing::RandomBatch;
using testing::set_value;
using testing::tiny_config;
using testing::value_at;
using testing::values_of;

/// A batch with slightly smoothed labels.
RandomBatch batch_of(const ModelConfig& config, DType dtype = DType::f32, int64_t count = 4) {
  return RandomBatch(config, {.count = count, .dtype = dtype, .smoothing = 0.05});
}

int64_t count(const StateList& state, ParameterGroup group) {
  int64_t sum = 0;
  for (const Parameter* p : state.parameters)
    if (p->group == group) sum += p->shape.numel();
  return sum;
}

// The published network's sizes (layers/models/README.md, 6), without memory for its parameters.
TEST(ImageNetPreset, HasThePublishedSizes) {
  const ModelConfig config = preset("ibinn-imagenet");
  const int64_t before = Allocator::cpu().stats().current_total;
  InvertibleChain chain;
  build_chain(config, chain);
  MixtureHead head(mixture_spec(config));
  StateList state;
  chain.collect(state);
  head.collect(state);
  EXPECT_EQ(count(state, ParameterGroup::network), 55'412'304);
  EXPECT_EQ(count(state, ParameterGroup::network) + count(state, ParameterGroup::means),
            77'486'672);
  Shape shape{1, 224, 224, 3};
  EXPECT_EQ(chain.output_shape(shape), (Shape{1, 150528}));
  int64_t multiply_adds = 0;
  for (int i = 0; i < chain.size(); ++i) {
    if (const auto* block = dynamic_cast<CouplingBlock*>(&chain.block(i)))
      for (const auto& named : block->subnets()) {
        const Shape input = named.input_shape(shape, named.in_channels);
        Shape output = input;
        for (const LayerSummary& layer : named.subnet->summary(input)) {
          multiply_adds += layer.multiply_adds;
          output = layer.output;
        }
        EXPECT_EQ(output, named.subnet->output_shape(input));
      }
    shape = chain.block(i).output_shape(shape);
  }
  EXPECT_EQ(multiply_adds, 6'916'661'248);
  EXPECT_EQ(Allocator::cpu().stats().current_total, before);
}

TEST(IbInn, NamesAreUniqueAndParametersFlat) {
  const IbInn model(tiny_config(), 1);
  std::set<std::string> names;
  int64_t sum = 0;
  for (const Parameter* p : model.state().parameters) {
    EXPECT_TRUE(names.insert(p->name).second) << p->name;
    EXPECT_TRUE(p->value.is_dense());
    sum += p->shape.numel();
  }
  for (const Buffer& b : model.state().buffers) {
    EXPECT_TRUE(names.insert(b.name).second) << b.name;
    EXPECT_TRUE(b.tensor->defined()) << b.name;
  }
  EXPECT_EQ(sum, model.parameters().all_values().numel());
  EXPECT_EQ(names.count("blocks.1.s_hi.0.weight"), 1U);
  EXPECT_EQ(names.count("mu_mean"), 1U);
}

TEST(IbInn, TheSeedDecidesEverything) {
  const ModelConfig config = tiny_config();
  const auto state_of = [&](uint64_t seed) {
    const IbInn model(config, seed);
    std::vector<std::vector<double>> all = {values_of(model.parameters().all_values())};
    for (const Buffer& b : model.state().buffers) all.push_back(values_of(*b.tensor));
    return all;
  };
  EXPECT_EQ(state_of(3), state_of(3));
  EXPECT_NE(state_of(3), state_of(4));
}

TEST(IbInn, GradientsOfTheWholeLoss) {
  for (const double beta : {0.0, 2.0, std::numeric_limits<double>::infinity()}) {
    ModelConfig config = tiny_config();
    config.entry = EntryKind::haar;
    config.image_size = 8;
    config.blocks = {1, 1};
    IbInn model(config, 5, DType::f64);
    const RandomBatch batch = batch_of(config, DType::f64);
    const LossSpec loss{beta, 0.7};
    const Tensor grad_x = Tensor::zeros(batch.images.shape(), DType::f64);
    std::vector<CheckedTensor> checked = {{"x", batch.images, grad_x}};
    for (const Parameter* p : model.state().parameters)
      checked.push_back({p->name, p->value, p->grad});
    const GradientReport report = check_gradients(
        [&] {
          const NoGradGuard no_grad;
          model.parameters().mark_changed();
          const auto latent = model.forward(Variable(batch.images), Phase::train);
          return model.head()
              .evaluate(latent.y.value(), latent.log_det.value(), batch.targets, loss)
              .loss();
        },
        [&] {
          Tensor gradient;
          model.forward_backward(batch.images, batch.targets, loss, Phase::train, &gradient);
          grad_x.copy_from(gradient);
        },
        // Gradients per dimension are small beside the loss, so rounding asks for a larger step.
        checked, {.step = 1e-4, .most_entries = 4});
    EXPECT_LT(report.worst, 1e-6) << "beta " << beta << ": " << report.text();
  }
}

TEST(IbInn, AnyConfigurationTrainsAndInverts) {
  const std::vector<std::vector<std::pair<std::string, std::string>>> variants = {
      {},
      {{"coupling", "glow"}},
      {{"subnet", "basic"}},
      {{"mixing", "orthogonal"}, {"welling", "true"}},
      {{"mixing", "householder"}, {"reflections", "2"}},
      {{"mixing", "conv1x1"}},
      {{"mixing", "swap"}},
      {{"mixing", "none"}, {"gin", "true"}},
      {{"act-norm", "exp"}, {"dct", "orthonormal"}},
      {{"entry-7x7", "true"}, {"rank", "0"}, {"head-permutation", "false"}},
      {{"entry", "haar"}, {"latent-norm", "false"}}};
  for (const auto& variant : variants) {
    ModelConfig config = tiny_config();
    std::string name;
    for (const auto& [key, value] : variant) {
      ASSERT_TRUE(set_field(config, key, value, "test"));
      name += key + "=" + value + " ";
    }
    IbInn model(config, 1);
    const RandomBatch batch = batch_of(config);
    Optimizer sgd(model.parameters());
    const double first = model.forward_backward(batch.images, batch.targets, {}).loss();
    double last = first;
    for (int step = 0; step < 8; ++step) {
      sgd.step({.learning_rate = 0.02, .learning_rate_means = 0.02});
      model.parameters().zero_grad();
      last = model.forward_backward(batch.images, batch.targets, {}).loss();
    }
    EXPECT_LT(last, first) << name;
    const NoGradGuard no_grad;
    const auto latent = model.forward(Variable(batch.images), Phase::evaluate);
    EXPECT_EQ(latent.y.value().shape(), (Shape{4, model.dims()}));
    const Tensor log_det = latent.log_det.value().clone();
    expect_near(model.inverse(latent.y.value(), log_det), batch.images, 1e-2, name);
    expect_near(log_det, Tensor::zeros({4}, DType::f64), 1e-2, name);
  }
}

TEST(IbInn, ForwardAndInverseDoNotDependOnThreads) {
  const ModelConfig config = preset("ibinn-mnist");
  IbInn model(config, 1);
  const RandomBatch batch = batch_of(config, DType::f32, 5);
  const auto run = [&](int threads) {
    set_thread_count(threads);
    const NoGradGuard no_grad;
    const auto latent = model.forward(Variable(batch.images), Phase::evaluate);
    return std::tuple{values_of(latent.y.value()), values_of(latent.log_det.value()),
                      values_of(model.inverse(latent.y.value())),
                      values_of(model.head().scores(latent.y.value()))};
  };
  const auto one = run(1);
  EXPECT_EQ(run(2), one);
  EXPECT_EQ(run(5), one);
  set_thread_count(2);
}

TEST(IbInn, TrainingRepeatsBitForBit) {
  const auto run = [] {
    const ModelConfig config = tiny_config();
    IbInn model(config, 1);
    const RandomBatch batch = batch_of(config);
    Optimizer sgd(model.parameters());
    for (int step = 0; step < 3; ++step) {
      model.parameters().zero_grad();
      model.forward_backward(batch.images, batch.targets, {});
      sgd.step({});
    }
    return values_of(model.parameters().all_values());
  };
  EXPECT_EQ(run(), run());
}

TEST(IbInn, Bf16StaysNearFloat) {
  if (!cpu_has_bf16()) GTEST_SKIP() << "SKIPPED: this processor has no bf16";
  ModelConfig config = tiny_config();
  config.subnet_gain = 1.0;
  const RandomBatch batch = batch_of(config);
  const auto run = [&](DType compute) {
    config.compute = compute;
    IbInn model(config, 1);
    const auto result = model.forward_backward(batch.images, batch.targets, {});
    EXPECT_EQ(model.parameters().dtype(), DType::f32);
    return result;
  };
  const auto wanted = run(DType::f32);
  const auto actual = run(DType::bf16);
  EXPECT_NE(actual.loss(), wanted.loss());
  EXPECT_NEAR(actual.loss(), wanted.loss(), 0.02 * std::abs(wanted.loss()));
  expect_near(actual.scores, wanted.scores, 0.05 * testing::largest_magnitude(wanted.scores));
}

TEST(IbInn, Bf16GradientsAreAsNearFloatUnderEveryPolicy) {
  if (!cpu_has_bf16()) GTEST_SKIP() << "SKIPPED: this processor has no bf16";
  ModelConfig config = tiny_config();
  config.act_norm_init = 1.0;
  config.subnet_gain = 0.1;
  const RandomBatch batch = batch_of(config);
  const auto gradients = [&](DType compute, const BlockPolicy& policy) {
    config.compute = compute;
    IbInn model(config, 1);
    model.set_policy(policy);
    model.forward_backward(batch.images, batch.targets, {});
    return values_of(model.parameters().all_grads());
  };
  const auto wanted = gradients(DType::f32, ActivationPolicy::store);
  const double stored =
      testing::relative_difference(gradients(DType::bf16, ActivationPolicy::store), wanted);
  EXPECT_GT(stored, 1e-4);
  for (const BlockPolicy& policy : testing::all_policies())
    EXPECT_LT(testing::relative_difference(gradients(DType::bf16, policy), wanted), 1.5 * stored)
        << name_of(policy);
}

TEST(IbInn, FittedActNormsGiveALatentOfUnitVariance) {
  for (const bool latent_norm : {false, true}) {
    ModelConfig config = tiny_config();
    config.latent_norm = latent_norm;
    IbInn model(config, 1);
    const RandomBatch batch = batch_of(config, DType::f32, 16);
    for (int64_t i = 0; i < batch.images.numel(); ++i)
      set_value(batch.images, i, 3.0 * value_at(batch.images, i) + 1.0);
    model.fit_act_norms(batch.images);
    const NoGradGuard no_grad;
    const Tensor z = model.forward(Variable(batch.images), Phase::train).y.value();
    EXPECT_NEAR(testing::inner(z, z) / static_cast<double>(z.numel()), 1.0, 0.05) << latent_norm;
  }
}

TEST(IbInn, CumulativeAveragesGiveTheMeanOfTheBatches) {
  ModelConfig config = tiny_config();
  IbInn model(config, 1);
  const auto running = [&] {
    for (const Buffer& b : model.state().buffers)
      if (b.name.find("running_mean") != std::string::npos) return values_of(*b.tensor);
    return std::vector<double>();
  };
  // Momentum 1 after the first batch alone: its own mean.
  const NoGradGuard no_grad;
  const RandomBatch one = batch_of(config);
  const Tensor two = random_tensor(one.images.shape(), DType::f32, 77);
  const auto mean_of = [&](const Tensor& x) {
    model.set_average_count(1);
    model.forward(Variable(x), Phase::train);
    return running();
  };
  const auto second = mean_of(two);
  const auto first = mean_of(one.images);
  model.set_average_count(2);
  model.forward(Variable(two), Phase::train);
  const auto both = running();
  ASSERT_FALSE(both.empty());
  for (size_t i = 0; i < both.size(); ++i) EXPECT_NEAR(both[i], 0.5 * (first[i] + second[i]), 1e-6);
  // 0 ends it: new = 0.95 old + 0.05 batch.
  model.set_average_count(0);
  model.forward(Variable(one.images), Phase::train);
  const auto moved = running();
  for (size_t i = 0; i < both.size(); ++i)
    EXPECT_NEAR(moved[i], 0.95 * both[i] + 0.05 * first[i], 1e-6);
}

TEST(IbInn, CheckUsableNamesAnActNormWithoutInverse) {
  IbInn model(tiny_config(), 1);
  for (Parameter* p : model.state().parameters)
    if (p->name.ends_with("act_norm")) {
      set_value(p->value, 0, -1e30);
      expect_error(ErrorKind::numerics,
                   "step 7: " + p->name + ": not all scales are positive and finite",
                   [&] { model.check_usable("step 7"); });
      return;
    }
  FAIL() << "no act norm";
}

TEST(IbInn, CheckUsableNamesTheTensor) {
  IbInn model(tiny_config(), 1);
  EXPECT_NO_THROW(model.check_usable("start"));
  Parameter* p = model.state().parameters[3];
  // Gradients of a step that was skipped do not count.
  set_value(p->grad, 0, std::numeric_limits<double>::infinity());
  EXPECT_NO_THROW(model.check_usable("start"));
  set_value(p->value, 0, std::numeric_limits<double>::quiet_NaN());
  expect_error(ErrorKind::numerics, "step 7: parameter " + p->name + " is not finite",
               [&] { model.check_usable("step 7"); });
}

TEST(IbInn, RefusesImagesOfAnotherShape) {
  IbInn model(tiny_config(), 1);
  const NoGradGuard no_grad;
  EXPECT_THROW(model.forward(Variable(Tensor::zeros({2, 16, 16, 1})), Phase::evaluate), Error);
  EXPECT_THROW(model.forward(Variable(Tensor::zeros({2, 15, 15, 3})), Phase::evaluate), Error);
  EXPECT_THROW(model.forward(Variable(Tensor::zeros({2, 32, 32, 3})), Phase::evaluate), Error);
  EXPECT_THROW(model.forward(Variable(Tensor::zeros({0, 16, 16, 3})), Phase::evaluate), Error);
}

}  // namespace
}  // namespace pal
