#include <gtest/gtest.h>

#include "kernels/arrays/reduce.h"
#include "kernels/loss/mixture.h"
#include "kernels/loss/softmax.h"
#include "tests/support/golden.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::constant_tensor;
using testing::expect_close;
using testing::value_at;

double mean_of(const Tensor& tensor) {
  double sum = 0.0;
  for (const double value : testing::values_of(tensor)) sum += value;
  return sum / static_cast<double>(tensor.numel());
}

/// One golden mixture and everything computed from it.
struct GoldenMixture {
  explicit GoldenMixture(const std::string& path) : golden(path) {
    const auto config = golden.config();
    batch = config["samples"];
    classes = config["classes"];
    mean_size = config["dims_mean"];
    rest = config["dims_rest"];
    const double beta = config["beta"];
    weights = {1.0 / (1.0 + beta), beta / (1.0 + beta)};
    means = {golden.tensor("mu_fc").reshape({classes, mean_size}),
             golden.tensor("mu_t"),
             golden.tensor("mu_m"),
             {},
             {}};
    z = Tensor::empty({batch, mean_size + rest});
    z.slice_channels(0, mean_size).copy_from(golden.tensor("z_fc"));
    z.slice_channels(mean_size, rest).copy_from(golden.tensor("z_rest"));
    targets = Tensor::empty({batch, classes});
    scores = Tensor::empty({batch, classes});
    half_norm = Tensor::empty({batch}, DType::f64);
    losses = {Tensor::empty({batch}, DType::f64), Tensor::empty({batch}, DType::f64),
              Tensor::empty({batch}, DType::f64), Tensor::empty({batch, classes})};
    cpu::soft_targets(golden.tensor("labels"), config["label_smoothing"], targets);
    cpu::half_squared_norm(z, half_norm);
    cpu::mixture_scores(z, means, scores, state);
    cpu::mixture_losses(scores, half_norm, golden.tensor("logdet").to(DType::f64), targets,
                        mean_size + rest, weights, losses);
  }

  testing::GoldenFile golden;
  int64_t batch = 0;
  int64_t classes = 0;
  int64_t mean_size = 0;
  int64_t rest = 0;
  MixtureWeights weights;
  MixtureMeans means;
  Tensor z;
  Tensor targets;
  Tensor half_norm;
  Tensor scores;
  MixtureState state;
  MixtureLosses losses;
};

class MixtureGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(MixtureGolden, ScoresAndLossesAgree) {
  const GoldenMixture m(GetParam());
  expect_close(m.golden, "y", m.targets);
  const Tensor logits = m.scores.to(DType::f64);
  const Tensor distances = logits.clone();
  for (int64_t i = 0; i < logits.numel(); ++i) {
    logits.data<double>()[i] -= value_at(m.half_norm, i / m.classes);
    distances.data<double>()[i] = -2.0 * value_at(logits, i);
  }
  expect_close(m.golden, "logits", logits);
  expect_close(m.golden, "cluster_distances", distances);
  expect_close(m.golden, "nll_joint", m.losses.nll_joint);
  expect_close(m.golden, "nll_class", m.losses.nll_class);
  expect_close(m.golden, "cat_ce", m.losses.cross_entropy);
  const Tensor summary = Tensor::empty({3}, DType::f64);
  cpu::mixture_summary(m.losses.nll_joint, m.losses.cross_entropy, m.weights, summary);
  expect_close(m.golden, "mean_nll_joint", summary.view_at(1, {1}));
  expect_close(m.golden, "mean_nll_class", constant_tensor({1}, mean_of(m.losses.nll_class)));
  expect_close(m.golden, "mean_cat_ce", summary.view_at(2, {1}));
  expect_close(m.golden, "loss_beta2", summary.view_at(0, {1}));
  const Tensor hits = Tensor::empty({1}, DType::f64);
  cpu::count_top_k(m.scores, m.golden.tensor("labels"), 1, hits);
  expect_close(m.golden, "accuracy",
               constant_tensor({1}, hits.item() / static_cast<double>(m.batch)));
  expect_close(m.golden, "delta_mu", constant_tensor({1}, mean_distance(m.means)));
}

TEST_P(MixtureGolden, GradientsAgree) {
  const GoldenMixture m(GetParam());
  const double norm_gradient = mixture_density_gradient(m.weights, m.batch, m.mean_size + m.rest);
  const Tensor grad_z = Tensor::empty(m.z.shape());
  const MixtureGrads grads{Tensor::zeros(m.means.mean.shape()),
                           Tensor::zeros(m.means.alpha.shape()),
                           Tensor::zeros(m.means.prototypes.shape())};
  cpu::mixture_backward(m.z, m.means, m.state, m.losses.grad_scores, norm_gradient, grad_z, grads);
  expect_close(m.golden, "grad.z_fc", grad_z.slice_channels(0, m.mean_size));
  expect_close(m.golden, "grad.z_rest", grad_z.slice_channels(m.mean_size, m.rest));
  expect_close(m.golden, "grad.mu_fc", grads.mean);
  expect_close(m.golden, "grad.mu_t", grads.alpha);
  expect_close(m.golden, "grad.mu_m", grads.prototypes);
  expect_close(m.golden, "grad.logdet", constant_tensor({m.batch}, -norm_gradient));
}

INSTANTIATE_TEST_SUITE_P(Files, MixtureGolden, ::testing::ValuesIn(testing::golden_files("gmm")));

// Another set need not hold every kind of file.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(MixtureGolden);

}  // namespace
}  // namespace pal
