#include "kernels/loss/mixture.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/arrays/reduce.h"
#include "kernels/loss/softmax.h"
#include "kernels/mixing/permutation.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::random_tensor;
using testing::tensor_with;
using testing::value_at;

constexpr int64_t kBatch = 3;
constexpr int64_t kClasses = 4;
constexpr int64_t kDims = 11;
constexpr int64_t kMeanSize = 5;
constexpr int64_t kRank = 2;

MixtureMeans full_rank(DType dtype) {
  return {random_tensor({kClasses, kDims}, dtype, 1), {}, {}, {}, {}};
}

void permute(MixtureMeans& means, const std::vector<int32_t>& order) {
  const auto tensor = [](const std::vector<int32_t>& index) {
    return tensor_with({static_cast<int64_t>(index.size())}, DType::i32,
                       {index.begin(), index.end()});
  };
  means.permutation = tensor(order);
  means.inverse_permutation = tensor(invert_permutation(order));
}

MixtureMeans low_rank(DType dtype, bool permuted) {
  MixtureMeans means{random_tensor({kClasses, kMeanSize}, dtype, 2),
                     random_tensor({kClasses, kRank}, dtype, 3),
                     random_tensor({kRank, kDims - kMeanSize}, dtype, 4),
                     {},
                     {}};
  if (permuted) permute(means, {3, 0, 4, 1, 2});
  return means;
}

std::vector<MixtureMeans> all_means(DType dtype) {
  std::vector<MixtureMeans> all = {full_rank(dtype), low_rank(dtype, false), low_rank(dtype, true)};
  all.push_back(full_rank(dtype));
  permute(all.back(), {2, 0, 1});
  return all;
}

/// Entry d of class mean y, in the order of z.
double mean_entry(const MixtureMeans& means, int64_t y, int64_t d) {
  if (d >= means.mean_size()) {
    double sum = 0.0;
    const int64_t rest = means.prototypes.channels();
    for (int64_t k = 0; k < kRank; ++k)
      sum += value_at(means.alpha, y * kRank + k) *
             value_at(means.prototypes, k * rest + d - means.mean_size());
    return sum;
  }
  int64_t source = d;
  if (means.permutation.defined())
    for (int64_t i = 0; i < means.permutation.numel(); ++i)
      if (static_cast<int64_t>(value_at(means.permutation, i)) == d) source = i;
  return value_at(means.mean, y * means.mean_size() + source);
}

double half_distance(const Tensor& z, const MixtureMeans& means, int64_t n, int64_t y) {
  double sum = 0.0;
  for (int64_t d = 0; d < kDims; ++d)
    sum += 0.5 * std::pow(value_at(z, n * kDims + d) - mean_entry(means, y, d), 2);
  return sum;
}

TEST(Mixture, GramMatrixHoldsTheProductsOfPrototypes) {
  for (const DType dtype : {DType::f64, DType::f32})
    for (const int64_t rank : {1, 7, 63, 64, 83, 128}) {
      constexpr int64_t kRest = 45;
      const MixtureMeans means{random_tensor({kClasses, kMeanSize}, dtype, 2),
                               random_tensor({kClasses, rank}, dtype, 3),
                               random_tensor({rank, kRest}, dtype, 4),
                               {},
                               {}};
      const Tensor z = random_tensor({kBatch, kMeanSize + kRest}, dtype, 5);
      const Tensor scores = Tensor::empty({kBatch, kClasses}, dtype);
      MixtureState state;
      cpu::mixture_scores(z, means, scores, state);
      for (int64_t i = 0; i < rank; ++i)
        for (int64_t j = 0; j < rank; ++j) {
          double product = 0.0;
          for (int64_t d = 0; d < kRest; ++d)
            product += value_at(means.prototypes, i * kRest + d) *
                       value_at(means.prototypes, j * kRest + d);
          ASSERT_NEAR(value_at(state.gram, i * rank + j), product,
                      dtype == DType::f32 ? 2e-5 : 1e-12)
              << i << ", " << j << " of " << rank;
        }
    }
}

TEST(Mixture, ScoresAreHalfDistancesUpToTheNorm) {
  for (const DType dtype : {DType::f64, DType::f32})
    for (const MixtureMeans& means : all_means(dtype)) {
      const Tensor z = random_tensor({kBatch, kDims}, dtype, 5);
      const Tensor norms = Tensor::empty({kBatch}, DType::f64);
      const Tensor scores = Tensor::empty({kBatch, kClasses}, dtype);
      MixtureState state;
      cpu::half_squared_norm(z, norms);
      cpu::mixture_scores(testing::pitched_copy(z), means, scores, state);
      for (int64_t n = 0; n < kBatch; ++n)
        for (int64_t y = 0; y < kClasses; ++y)
          EXPECT_NEAR(value_at(scores, n * kClasses + y),
                      value_at(norms, n) - half_distance(z, means, n, y),
                      dtype == DType::f32 ? 2e-5 : 1e-12);
    }
}

/// A whole loss: everything that mixture_losses and mixture_backward differentiate.
struct Problem {
  MixtureMeans means;
  MixtureWeights weights{0.7, 1.3};
  Tensor z = random_tensor({kBatch, kDims}, DType::f64, 6);
  Tensor log_det = random_tensor({kBatch}, DType::f64, 7);
  Tensor targets = Tensor::empty({kBatch, kClasses}, DType::f64);
  Tensor scores = Tensor::empty({kBatch, kClasses}, DType::f64);
  Tensor norms = Tensor::empty({kBatch}, DType::f64);
  MixtureState state;
  MixtureLosses losses{Tensor::empty({kBatch}, DType::f64), Tensor::empty({kBatch}, DType::f64),
                       Tensor::empty({kBatch}, DType::f64),
                       Tensor::empty({kBatch, kClasses}, DType::f64)};

  explicit Problem(MixtureMeans chosen) : means(std::move(chosen)) {
    cpu::soft_targets(tensor_with({kBatch}, DType::i32, {1, 3, 0}), 0.05, targets);
  }
  double run() {
    cpu::mixture_scores(z, means, scores, state);
    cpu::half_squared_norm(z, norms);
    cpu::mixture_losses(scores, norms, log_det, targets, kDims, weights, losses);
    double sum = 0.0;
    for (int64_t n = 0; n < kBatch; ++n)
      sum += weights.density * value_at(losses.nll_joint, n) +
             weights.classes * value_at(losses.cross_entropy, n);
    return sum / kBatch;
  }
};

TEST(Mixture, LossesFollowTheirDefinitions) {
  for (const MixtureMeans& means : all_means(DType::f64)) {
    Problem problem(means);
    problem.run();
    for (int64_t n = 0; n < kBatch; ++n) {
      double density = 0.0;
      for (int64_t y = 0; y < kClasses; ++y)
        density += std::exp(-half_distance(problem.z, means, n, y));
      double nll_class = 0.0;
      double cross_entropy = 0.0;
      for (int64_t y = 0; y < kClasses; ++y) {
        const double target = value_at(problem.targets, n * kClasses + y);
        const double half = half_distance(problem.z, means, n, y);
        nll_class += target * half;
        cross_entropy += target * (half + std::log(density));
      }
      const double log_det = value_at(problem.log_det, n);
      EXPECT_NEAR(value_at(problem.losses.nll_joint, n), (-std::log(density) - log_det) / kDims,
                  1e-12);
      EXPECT_NEAR(value_at(problem.losses.nll_class, n), (nll_class - log_det) / kDims, 1e-12);
      EXPECT_NEAR(value_at(problem.losses.cross_entropy, n), cross_entropy, 1e-12);
    }
  }
}

TEST(Mixture, SummaryIsTheMeanOverTheBatch) {
  for (const int64_t batch : {1, 3, 5000}) {
    const Tensor joint = random_tensor({batch}, DType::f64, 8);
    const Tensor entropy = random_tensor({batch}, DType::f64, 9);
    double joint_mean = 0.0;
    double entropy_mean = 0.0;
    for (int64_t n = 0; n < batch; ++n) {
      joint_mean += value_at(joint, n) / static_cast<double>(batch);
      entropy_mean += value_at(entropy, n) / static_cast<double>(batch);
    }
    const Tensor summary = Tensor::empty({3}, DType::f64);
    cpu::mixture_summary(joint, entropy, {0.25, 0.5}, summary);
    expect_near(summary,
                tensor_with({3}, DType::f64,
                            {0.25 * joint_mean + 0.5 * entropy_mean, joint_mean, entropy_mean}),
                1e-14);
  }
}

TEST(Mixture, GradientsMatchDifferences) {
  for (const MixtureMeans& means : all_means(DType::f64)) {
    Problem problem(means);
    problem.run();
    const double norm_gradient = mixture_density_gradient(problem.weights, kBatch, kDims);
    const Tensor grad_z = testing::pitched_tensor({kBatch, kDims}, DType::f64);
    MixtureGrads grads{Tensor::zeros(means.mean.shape(), DType::f64), {}, {}};
    if (means.low_rank()) {
      grads.alpha = Tensor::zeros(means.alpha.shape(), DType::f64);
      grads.prototypes = Tensor::zeros(means.prototypes.shape(), DType::f64);
    }
    const auto backward = [&] {
      cpu::mixture_backward(problem.z, means, problem.state, problem.losses.grad_scores,
                            norm_gradient, grad_z, grads);
    };
    backward();
    const auto numeric = [&](const Tensor& parameter) {
      return testing::numeric_gradient(parameter, [&] { return problem.run(); });
    };
    expect_near(grad_z, numeric(problem.z), 1e-9, "z");
    const Tensor grad_mean = numeric(means.mean);
    expect_near(grads.mean, grad_mean, 1e-9, "mean");
    if (means.low_rank()) {
      expect_near(grads.alpha, numeric(means.alpha), 1e-9, "alpha");
      expect_near(grads.prototypes, numeric(means.prototypes), 1e-9, "prototypes");
    }
    const Tensor grad_log_det = numeric(problem.log_det);
    for (int64_t n = 0; n < kBatch; ++n)
      EXPECT_NEAR(value_at(grad_log_det, n), -norm_gradient, 1e-9);
    // A second call adds to the parameters' gradients and overwrites that of z.
    problem.run();
    backward();
    expect_near(grad_z, numeric(problem.z), 1e-9, "z again");
    for (int64_t i = 0; i < grads.mean.numel(); ++i)
      EXPECT_NEAR(value_at(grads.mean, i), 2.0 * value_at(grad_mean, i), 2e-9);
  }
}

TEST(Mixture, LargeNormsDoNotSwallowTheScores) {
  // ||z||^2 / 2 is 2^26 here, where floats are 8 apart; scores must still tell the classes apart.
  const Tensor z = Tensor::zeros({1, 4}, DType::f32);
  z.data<float>()[0] = 11585.0F;
  z.data<float>()[1] = 0.01F;
  const MixtureMeans means{
      tensor_with({2, 4}, DType::f32, {0, 1, 0, 0, 0, 0, 1, 0}), {}, {}, {}, {}};
  const Tensor scores = Tensor::empty({1, 2}, DType::f32);
  MixtureState state;
  cpu::mixture_scores(z, means, scores, state);
  EXPECT_NEAR(value_at(scores, 0) - value_at(scores, 1), 0.01, 1e-6);
}

TEST(Mixture, MeanDistanceIsThatOfTheSpelledOutMeans) {
  for (const DType dtype : {DType::f64, DType::f32})
    for (const MixtureMeans& means : all_means(dtype)) {
      double sum = 0.0;
      for (int64_t i = 0; i < kClasses; ++i)
        for (int64_t j = 0; j < kClasses; ++j) {
          double square = 0.0;
          for (int64_t d = 0; d < kDims; ++d)
            square += std::pow(mean_entry(means, i, d) - mean_entry(means, j, d), 2);
          sum += std::sqrt(square);
        }
      EXPECT_NEAR(mean_distance(means), sum / (kClasses * (kClasses - 1)), 1e-12);
    }
}

TEST(Mixture, RefusesWrongArguments) {
  MixtureState state;
  const Tensor z = Tensor::zeros({2, 4});
  const MixtureMeans means{Tensor::zeros({3, 4}), {}, {}, {}, {}};
  expect_error(ErrorKind::usage, "expected scores of shape [2, 3], got [2, 4]", [&] {
    cpu::mixture_scores(z, means, Tensor::zeros({2, 4}), state);
  });
  expect_error(ErrorKind::usage, "expected means of 4 dimensions, got 2", [&] {
    cpu::mixture_scores(z, {Tensor::zeros({3, 2}), {}, {}, {}, {}}, Tensor::zeros({2, 3}), state);
  });
  expect_error(ErrorKind::usage, "expected prototypes of shape [2, 1], got [2, 2]", [&] {
    cpu::mixture_scores(
        z, {Tensor::zeros({3, 3}), Tensor::zeros({3, 2}), Tensor::zeros({2, 2}), {}, {}},
        Tensor::zeros({2, 3}), state);
  });
  const Tensor order = tensor_with({2}, DType::i32, {1, 0});
  expect_error(ErrorKind::usage, "expected the inverse permutation of shape [2], got nothing", [&] {
    cpu::mixture_scores(z, {Tensor::zeros({3, 4}), {}, {}, order, {}}, Tensor::zeros({2, 3}),
                        state);
  });
  expect_error(ErrorKind::data, "permute_channels: index 1 is 2", [&] {
    const Tensor broken = tensor_with({2}, DType::i32, {1, 2});
    cpu::mixture_scores(z, {Tensor::zeros({3, 4}), {}, {}, broken, order}, Tensor::zeros({2, 3}),
                        state);
  });
  expect_error(ErrorKind::usage, "non-empty z", [&] {
    cpu::mixture_scores(Tensor::empty({0, 4}), means, Tensor::zeros({0, 3}), state);
  });
  expect_error(ErrorKind::usage, "mixture_losses: expected targets of shape [2, 3]", [&] {
    const Tensor per_sample = Tensor::zeros({2}, DType::f64);
    cpu::mixture_losses(Tensor::zeros({2, 3}), per_sample, per_sample, Tensor::zeros({2, 2}), 4, {},
                        {});
  });
  expect_error(ErrorKind::usage, "mixture_summary: expected a non-empty nll_joint of rank 1", [&] {
    const Tensor none = Tensor::empty({0}, DType::f64);
    cpu::mixture_summary(none, none, {}, Tensor::zeros({3}, DType::f64));
  });
}

}  // namespace
}  // namespace pal
