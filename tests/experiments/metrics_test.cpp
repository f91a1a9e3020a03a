#include "experiments/measures/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "layers/mixture_head.h"
#include "runtime/error.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

constexpr double kFashionK = 7.8178;  // experiments/measures/README.md, 2, to four decimals
const std::vector<float> kFashionStd = {0.3530F};

ImageResult judge(const std::vector<double>& scores, int32_t label, double smoothing = 0.0) {
  std::vector<double> probabilities(scores.size());
  return judge_scores(scores, label, smoothing, probabilities);
}

TEST(JudgeScores, GivesSoftmaxEntropyAndCrossEntropy) {
  const std::vector<double> scores = {std::log(1.0), std::log(2.0), std::log(5.0)};
  std::vector<double> q(3);
  const ImageResult r = judge_scores(scores, 1, 0.0, q);
  EXPECT_NEAR(q[0], 0.125, 1e-15);
  EXPECT_NEAR(q[2], 0.625, 1e-15);
  EXPECT_EQ(r.predicted, 2);
  EXPECT_EQ(r.rank, 1);
  EXPECT_NEAR(r.confidence, 0.625, 1e-15);
  EXPECT_NEAR(r.cross_entropy, std::log(4.0), 1e-15);
  const double entropy = 0.125 * std::log(8.0) + 0.25 * std::log(4.0) + 0.625 * std::log(1.6);
  EXPECT_NEAR(r.entropy, entropy, 1e-15);
}

TEST(JudgeScores, SmoothsTheLabelOfLossY) {
  const ImageResult r = judge({0.0, 1.0}, 0, 0.1);
  const double log_sum = std::log(1.0 + std::exp(1.0));
  EXPECT_NEAR(r.loss_y, 0.95 * log_sum + 0.05 * (log_sum - 1.0), 1e-15);
  EXPECT_NEAR(judge({0.0, 1.0}, 0, 0.0).loss_y, r.cross_entropy, 1e-15);
}

TEST(JudgeScores, SurvivesScoresFarApart) {
  const ImageResult right = judge({75000.0, 0.0}, 0);
  EXPECT_EQ(right.cross_entropy, 0.0);
  EXPECT_EQ(right.entropy, 0.0);
  EXPECT_EQ(right.confidence, 1.0);
  EXPECT_EQ(judge({75000.0, 0.0}, 1).cross_entropy, 75000.0);
}

TEST(JudgeScores, CountsTheFirstOfEqualScoresAsLarger) {
  EXPECT_EQ(judge({1.0, 1.0, 1.0}, 0).rank, 0);
  EXPECT_EQ(judge({1.0, 1.0, 1.0}, 2).rank, 2);
  EXPECT_EQ(judge({1.0, 1.0, 1.0}, 2).predicted, 0);
}

TEST(JudgeScores, RefusesLabelsOutside) {
  EXPECT_THROW(judge({1.0, 2.0}, 2), Error);
  EXPECT_THROW(judge({1.0, 2.0}, -1), Error);
}

TEST(BitsPerDim, HasTheConstantsOfTheSpecification) {
  EXPECT_NEAR(bits_per_dim(0.0, 1, 784, kFashionStd), kFashionK, 5e-5);
  EXPECT_NEAR(bits_per_dim(0.0, 1, 150528, std::vector<float>{0.229F, 0.224F, 0.225F}), 7.1744,
              5e-5);
  // The prior's share, ln(M) / D nats.
  EXPECT_NEAR(bits_per_dim(0.0, 10, 784, kFashionStd) - bits_per_dim(0.0, 1, 784, kFashionStd),
              0.002937 / std::log(2.0), 1e-6);
  EXPECT_NEAR(log_density(0.5, 1, 784), -0.5 - 0.918939, 1e-6);
  EXPECT_NEAR(bits_per_dim_paper(-1.90), 4.34, 0.01);
}

TEST(BitsPerDim, OfAStandardNormalUnderTheIdentity) {
  // experiments/measures/README.md, 2: identity network, one class with mean 0, x ~ N(0, 1) give
  // K + 0.7213.
  constexpr int64_t kDims = 784;
  constexpr int64_t kImages = 512;
  MixtureSpec spec;
  spec.classes = 1;
  spec.dims = spec.mean_dims = kDims;
  spec.rank = 0;
  spec.mu_init = 0.0;
  spec.head_permutation = false;
  MixtureHead head(spec);
  StateList state;
  head.collect(state);
  ParameterStore store;
  store.materialise(state.parameters, DType::f32, 1);
  head.initialise(DType::f32);
  const Tensor z = Tensor::empty({kImages, kDims});
  for (int64_t i = 0; i < z.numel() / 4; ++i) {
    const auto values = Philox(7, RandomPurpose::test).normal4(static_cast<uint32_t>(i));
    std::copy(values.begin(), values.end(), z.data<float>() + 4 * i);
  }
  const Tensor targets = Tensor::empty({kImages, 1});
  targets.fill(1.0);
  const auto losses = head.evaluate(z, Tensor::zeros({kImages}, DType::f64), targets, {});
  double loss_x = 0.0;
  for (int64_t i = 0; i < kImages; ++i) loss_x += losses.nll_joint.data<double>()[i] / kImages;
  // The mean of 401,408 squares: a standard error of 0.0011 in L_X, 0.0016 bits.
  EXPECT_NEAR(loss_x, 0.5, 0.005);
  EXPECT_NEAR(bits_per_dim(loss_x, 1, kDims, kFashionStd), kFashionK + 0.7213, 0.007);
}

TEST(Summarize, TakesMeansOverImages) {
  std::vector<ImageResult> images(4);
  for (size_t i = 0; i < images.size(); ++i) {
    images[i].rank = static_cast<int32_t>(3 * i);
    images[i].loss_x = static_cast<double>(i);
    images[i].cross_entropy = 2.0;
  }
  const EvaluationSummary s = summarize(images);
  EXPECT_EQ(s.images, 4);
  EXPECT_EQ(s.acc1, 0.25);
  EXPECT_EQ(s.acc5, 0.5);
  EXPECT_EQ(s.loss_x, 1.5);
  EXPECT_EQ(s.ce, 2.0);
  EXPECT_THROW(summarize({}), Error);
}

}  // namespace
}  // namespace pal
