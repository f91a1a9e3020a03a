// A network as attacks see it: the gradient of images in [0, 1], normalisation included.
#include "experiments/attacks/attacked_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "autograd/gradient_check.h"
#include "experiments/attacks/attack_loss.h"
#include "experiments/measures/metrics.h"
#include "kernels/arrays/host_values.h"
#include "layers/models/ib_inn.h"
#include "tests/support/random_batch.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tiny_resnet.h"

namespace pal {
namespace {

/// Pixels from 0 to 1, and how a network of these colours is told to read them.
struct PixelCase {
  explicit PixelCase(const ModelConfig& config)
      : model(build_model(config)),
        images(testing::random_tensor({3, config.image_size, config.image_size, config.channels},
                                      DType::f64, 4)) {
    model->materialise(3, DType::f64);
    const testing::RandomBatch batch(config, {.count = 6, .dtype = DType::f64, .seed = 8});
    for (int i = 0; i < 3; ++i) model->update_statistics(batch.images);
    for (int64_t i = 0; i < images.numel(); ++i)
      images.data<double>()[i] = std::clamp(0.5 + 0.3 * images.data<double>()[i], 0.0, 1.0);
    for (int64_t c = 0; c < config.channels; ++c) {
      input.mean.push_back(0.4F + 0.05F * static_cast<float>(c));
      input.std.push_back(0.2F + 0.1F * static_cast<float>(c));
    }
  }

  std::unique_ptr<Model> model;
  Tensor images;
  InputSpec input;
};

TEST(AttackedNetworkTest, GradientsOfPixelsEqualFiniteDifferences) {
  for (const ModelConfig& config : {testing::tiny_config(), testing::tiny_resnet()}) {
    const PixelCase each(config);
    AttackedNetwork attacked(*each.model, each.input);
    for (const AttackLoss loss : {AttackLoss::cross_entropy, AttackLoss::dlr, AttackLoss::margin})
      for (const bool targeted : {true, false}) {
        AttackObjective objective = {.loss = loss, .weight = 3.0};
        if (each.model->has_density()) {
          objective.d = 66.0;
          objective.median = 0.2;
        }
        const std::vector<AttackGoal> goals = {
            {0, targeted ? 1 : -1}, {1, targeted ? 3 : -1}, {3, targeted ? 0 : -1}};
        const Tensor gradient = Tensor::zeros(each.images.shape(), DType::f64);
        const GradientReport report = check_gradients(
            [&] {
              double sum = 0.0;
              for (const double value :
                   evaluate_objective(objective, attacked.scores(each.images), goals).values)
                sum += value;
              return sum;
            },
            [&] {
              gradient.copy_from(attacked.gradient(each.images, [&](const ImageScores& said) {
                ImageGradients wanted;
                evaluate_objective(objective, said, goals, &wanted);
                return wanted;
              }));
            },
            {{"pixels", each.images, gradient}}, {.step = 1e-5, .most_entries = 24});
        EXPECT_LT(report.worst, 1e-6)
            << config.arch << ", " << name_of(loss) << ": " << report.text();
      }
  }
}

TEST(AttackedNetworkTest, SaysWhatTheNetworkSaysOfNormalisedImages) {
  const PixelCase each(testing::tiny_config());
  AttackedNetwork attacked(*each.model, each.input);
  const Tensor x = each.images.clone();
  const int64_t channels = x.channels();
  for (int64_t i = 0; i < x.numel(); ++i) {
    const auto c = static_cast<size_t>(i % channels);
    x.data<double>()[i] = (x.data<double>()[i] - static_cast<double>(each.input.mean[c])) /
                          static_cast<double>(each.input.std[c]);
  }
  const ModelScores direct = each.model->scores_of(x);
  const ImageScores said = attacked.scores(each.images);
  ASSERT_EQ(said.scores.size(), direct.scores.size());
  for (size_t i = 0; i < said.scores.size(); ++i)
    EXPECT_NEAR(said.scores[i], direct.scores[i], 1e-9 * (1.0 + std::abs(direct.scores[i])));
  ASSERT_EQ(said.log_density.size(), 3U);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(said.log_density[i],
                log_density(direct.nll_joint[i], direct.classes, each.model->dims()), 1e-9);
}

}  // namespace
}  // namespace pal
