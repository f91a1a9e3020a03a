// Gradients of images alone: right for any function of scores and density, with no work and no
// memory for those of the parameters.
#include <gtest/gtest.h>

#include <cmath>

#include "autograd/gradient_check.h"
#include "layers/models/ib_inn.h"
#include "layers/models/resnet.h"
#include "runtime/allocator.h"
#include "tests/support/numeric.h"
#include "tests/support/policies.h"
#include "tests/support/random_batch.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tiny_resnet.h"

namespace pal {
namespace {

using testing::RandomBatch;
using testing::values_of;

std::vector<ModelConfig> input_gradient_configs() {
  ModelConfig full_rank = testing::tiny_config();
  full_rank.rank = 0;
  ModelConfig householder = testing::tiny_config();
  householder.mixing = MixingKind::householder;
  ModelConfig glow = testing::tiny_config();
  glow.coupling = CouplingKind::glow;
  glow.mixing = MixingKind::conv1x1;
  ModelConfig haar = testing::tiny_config();
  haar.entry = EntryKind::haar;
  haar.image_size = 8;
  haar.blocks = {1, 1};
  return {testing::tiny_config(), full_rank, householder, glow, haar, testing::tiny_resnet()};
}

/// A model with running statistics that are not those of the start.
std::unique_ptr<Model> input_gradient_model(const ModelConfig& config, DType dtype) {
  auto model = build_model(config);
  model->materialise(3, dtype);
  const RandomBatch batch(config, {.count = 6, .dtype = dtype, .seed = 8});
  for (int i = 0; i < 3; ++i) model->update_statistics(batch.images);
  return model;
}

/// sum_i w_i l_0 l_1 + v_i nll^2 over the images, with another weight for each, and its derivatives.
struct Curved {
  double value = 0.0;

  ScoreGradients operator()(const ModelScores& said) {
    ScoreGradients gradients;
    gradients.scores.assign(said.scores.size(), 0.0);
    gradients.nll_joint.assign(said.nll_joint.size(), 0.0);
    value = 0.0;
    const auto classes = static_cast<size_t>(said.classes);
    for (size_t i = 0; i < said.scores.size() / classes; ++i) {
      const double w = 0.1 + 0.2 * static_cast<double>(i);
      const double* const l = said.scores.data() + i * classes;
      value += w * l[0] * l[1];
      gradients.scores[i * classes] = w * l[1];
      gradients.scores[i * classes + 1] = w * l[0];
      if (said.nll_joint.empty()) continue;
      value += (3.0 - w) * said.nll_joint[i] * said.nll_joint[i];
      gradients.nll_joint[i] = 2.0 * (3.0 - w) * said.nll_joint[i];
    }
    return gradients;
  }
};

TEST(InputGradient, EqualsFiniteDifferences) {
  for (const ModelConfig& config : input_gradient_configs()) {
    const auto model = input_gradient_model(config, DType::f64);
    const RandomBatch batch(config, {.count = 3, .dtype = DType::f64});
    const Tensor gradient = Tensor::zeros(batch.images.shape(), DType::f64);
    Curved function;
    const GradientReport report = check_gradients(
        [&] {
          function(model->scores_of(batch.images));
          return function.value;
        },
        [&] { gradient.copy_from(model->input_gradient(batch.images, std::ref(function))); },
        {{"x", batch.images, gradient}}, {.step = 1e-4, .most_entries = 24});
    EXPECT_LT(report.worst, 1e-6) << config.arch << ": " << report.text();
  }
}

TEST(InputGradient, IsThatOfTheTrainingLossInEvaluation) {
  for (const ModelConfig& config : input_gradient_configs()) {
    const auto model = input_gradient_model(config, DType::f32);
    const RandomBatch batch(config, {.count = 5});
    LossSpec loss;
    loss.beta = 2.0;
    Tensor wanted;
    model->forward_backward(batch.images, batch.targets, loss, Phase::evaluate, &wanted);
    model->parameters().zero_grad();
    const std::vector<double> targets = values_of(batch.targets);
    const bool density = model->has_density();
    const Tensor got = model->input_gradient(batch.images, [&](const ModelScores& said) {
      // The mean of density nll_joint + classes cross-entropy; a ResNet's is its cross-entropy.
      const MixtureWeights weights = density ? loss.weights() : MixtureWeights{0.0, 1.0};
      ScoreGradients gradients;
      gradients.nll_joint.assign(said.nll_joint.size(), weights.density / 5.0);
      for (size_t i = 0; i < said.scores.size(); ++i) {
        const size_t row =
            i / static_cast<size_t>(said.classes) * static_cast<size_t>(said.classes);
        double sum = 0.0;
        for (size_t y = 0; y < static_cast<size_t>(said.classes); ++y)
          sum += std::exp(said.scores[row + y] - said.scores[i]);
        gradients.scores.push_back(weights.classes / 5.0 * (1.0 / sum - targets[i]));
      }
      return gradients;
    });
    EXPECT_LT(relative_error(wanted, got), 2e-5) << config.arch;
    for (const Parameter* p : model->state().parameters)
      EXPECT_EQ(values_of(p->grad), std::vector<double>(values_of(p->grad).size(), 0.0)) << p->name;
  }
}

TEST(InputGradient, PoliciesAgreeAndParametersStay) {
  for (const ModelConfig& config : input_gradient_configs()) {
    const auto model = input_gradient_model(config, DType::f32);
    const RandomBatch batch(config, {.count = 4});
    const std::vector<double> before = values_of(model->parameters().all_values());
    const std::vector<double> statistics = values_of(model->parameters().all_statistics());
    Curved function;
    const std::vector<BlockPolicy> policies = testing::all_policies(model->has_density());
    Tensor first;
    for (const BlockPolicy& policy : policies) {
      model->set_policy(policy);
      const Tensor got = model->input_gradient(batch.images, std::ref(function));
      if (!first.defined()) first = got;
      EXPECT_LT(relative_error(first, got), 1e-4) << config.arch << ", " << name_of(policy);
    }
    EXPECT_EQ(values_of(model->parameters().all_values()), before);
    EXPECT_EQ(values_of(model->parameters().all_statistics()), statistics);
  }
}

TEST(InputGradient, MemoryIsFlatInDepth) {
  const auto peak = [](int64_t blocks) {
    ModelConfig config = testing::tiny_config();
    config.blocks = {blocks};
    config.strides = {1};
    config.widths = {8};
    const auto model = input_gradient_model(config, DType::f32);
    model->set_policy(ActivationPolicy::invert);
    const RandomBatch batch(config, {.count = 4});
    Curved function;
    model->input_gradient(batch.images, std::ref(function));  // plans and copies of weights
    Allocator::cpu().reset_peaks();
    model->input_gradient(batch.images, std::ref(function));
    return Allocator::cpu().stats().peak_activations;
  };
  EXPECT_EQ(peak(3), peak(12));
}

TEST(InputGradient, RefusesDerivativesThatDoNotFit) {
  const ModelConfig config = testing::tiny_config();
  const auto model = input_gradient_model(config, DType::f32);
  const RandomBatch batch(config, {.count = 2});
  EXPECT_THROW(model->input_gradient(batch.images,
                                     [](const ModelScores&) {
                                       return ScoreGradients{{1.0}, {}};
                                     }),
               Error);
  EXPECT_THROW(model->input_gradient(batch.images,
                                     [](const ModelScores& said) {
                                       return ScoreGradients{said.scores, {1.0}};
                                     }),
               Error);
}

}  // namespace
}  // namespace pal
