#include "layers/mixture_head.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autograd/gradient_check.h"
#include "kernels/mixing/permutation.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::random_tensor;
using testing::set_value;
using testing::value_at;

constexpr int64_t kBatch = 3;

MixtureSpec small_spec(int64_t rank, bool permuted) {
  MixtureSpec spec;
  spec.classes = 4;
  spec.dims = 29;
  spec.mean_dims = 13;
  spec.rank = rank;
  spec.head_permutation = permuted;
  return spec;
}

/// A head with memory for its parameters; `noise` moves them all away from their start.
struct Head {
  explicit Head(const MixtureSpec& spec, double noise = 0.0, DType dtype = DType::f64)
      : head(spec) {
    head.collect(state);
    store.materialise(state.parameters, dtype, 1);
    head.initialise(dtype);
    if (noise == 0.0) return;
    const Tensor& all = store.all_values();
    const Tensor shift = random_tensor(all.shape(), DType::f64, 2, noise);
    for (int64_t i = 0; i < all.numel(); ++i)
      set_value(all, i, value_at(all, i) + value_at(shift, i));
  }
  MixtureHead head;
  StateList state;
  ParameterStore store;
};

std::vector<MixtureSpec> all_specs() {
  return {small_spec(0, false), small_spec(0, true), small_spec(5, false), small_spec(5, true)};
}

double squared_distance(const Tensor& a, const Tensor& b) {
  double sum = 0.0;
  for (int64_t i = 0; i < a.numel(); ++i) sum += std::pow(value_at(a, i) - value_at(b, i), 2);
  return sum;
}

TEST(MixtureHead, ClassesStartMuInitApart) {
  for (MixtureSpec spec : all_specs()) {
    spec.mu_init = 2.5;
    const Head h(spec);
    for (int64_t i = 0; i < spec.classes; ++i)
      for (int64_t j = 0; j < i; ++j) {
        // The pooled part alone: exact. The rest is noise of 0.01 per dimension.
        const Tensor a = h.head.class_mean(i).slice_batch(0, spec.mean_dims);
        const Tensor b = h.head.class_mean(j).slice_batch(0, spec.mean_dims);
        EXPECT_NEAR(std::sqrt(squared_distance(a, b)), 2.5, 1e-12);
      }
    EXPECT_NEAR(h.head.mean_distance(), 2.5, 0.01);
  }
}

TEST(MixtureHead, ScoresFollowTheMeansWhenTheseChange) {
  for (const MixtureSpec& spec : all_specs()) {
    const Head h(spec, 0.3);
    const Tensor z = random_tensor({kBatch, spec.dims}, DType::f64, 5);
    const Tensor first = h.head.scores(z);
    EXPECT_EQ(testing::values_of(h.head.scores(z)), testing::values_of(first));
    const Tensor& all = h.store.all_values();
    for (int64_t i = 0; i < all.numel(); ++i) set_value(all, i, 1.5 * value_at(all, i));
    h.store.mark_changed();
    const Tensor then = h.head.scores(z);
    EXPECT_NE(testing::values_of(then), testing::values_of(first));
    const Head fresh(spec);
    fresh.store.all_values().copy_from(all);
    EXPECT_EQ(testing::values_of(then), testing::values_of(fresh.head.scores(z)));
  }
}

TEST(MixtureHead, PooledMeansAreCopiesOfAScaledIdentity) {
  const Head h(small_spec(5, false));
  const double g = 3.5 / std::sqrt(6.0);
  for (int64_t y = 0; y < 4; ++y) {
    const Tensor mean = h.head.class_mean(y);
    // Three whole copies of four classes fit into thirteen dimensions.
    for (int64_t i = 0; i < 13; ++i)
      EXPECT_DOUBLE_EQ(value_at(mean, i), i < 12 && i % 4 == y ? g : 0.0);
  }
}

TEST(MixtureHead, ClassMeansFollowTheHeadPermutation) {
  const Head plain(small_spec(5, false));
  const Head permuted(small_spec(5, true));
  const auto order = numpy_permutation(13);
  for (int64_t y = 0; y < 4; ++y) {
    const Tensor a = plain.head.class_mean(y);
    const Tensor b = permuted.head.class_mean(y);
    for (int64_t i = 0; i < 13; ++i)
      EXPECT_EQ(value_at(b, order[static_cast<size_t>(i)]), value_at(a, i));
    for (int64_t i = 13; i < 29; ++i) EXPECT_EQ(value_at(b, i), value_at(a, i));
  }
}

TEST(MixtureHead, LossesAreThoseOfTheSpelledOutMixture) {
  for (const MixtureSpec& spec : all_specs())
    for (const double beta : {0.0, 1.5, std::numeric_limits<double>::infinity()}) {
      const Head h(spec, 0.3);
      const Tensor z = random_tensor({kBatch, spec.dims}, DType::f64, 3);
      const Tensor log_det = random_tensor({kBatch}, DType::f64, 4);
      const Tensor targets = Tensor::empty({kBatch, spec.classes}, DType::f64);
      targets.fill(0.1);
      for (int64_t n = 0; n < kBatch; ++n) set_value(targets, n * spec.classes + n, 0.7);
      const LossSpec loss{beta, 0.5};
      const LossResult result = h.head.evaluate(z, log_det, targets, loss);
      double wanted_loss = 0.0;
      for (int64_t n = 0; n < kBatch; ++n) {
        const Tensor row = z.slice_batch(n, 1).reshape({spec.dims});
        std::vector<double> d;
        double sum = 0.0;
        double expected = 0.0;
        for (int64_t y = 0; y < spec.classes; ++y) {
          d.push_back(squared_distance(row, h.head.class_mean(y)));
          sum += std::exp(-d.back() / 2.0);
          expected += value_at(targets, n * spec.classes + y) * d.back() / 2.0;
        }
        const auto dims = static_cast<double>(spec.dims);
        const double joint = (-std::log(sum) - value_at(log_det, n)) / dims;
        double entropy = 0.0;
        for (int64_t y = 0; y < spec.classes; ++y)
          entropy += value_at(targets, n * spec.classes + y) *
                     (d[static_cast<size_t>(y)] / 2.0 + std::log(sum));
        EXPECT_NEAR(value_at(result.nll_joint, n), joint, 1e-12);
        EXPECT_NEAR(value_at(result.nll_class, n), (expected - value_at(log_det, n)) / dims, 1e-12);
        EXPECT_NEAR(value_at(result.cross_entropy, n), entropy, 1e-11);
        wanted_loss +=
            0.5 / kBatch * (std::isinf(beta) ? entropy : (joint + beta * entropy) / (1.0 + beta));
        for (int64_t y = 0; y < spec.classes; ++y)
          EXPECT_NEAR(value_at(h.head.scores(z), n * spec.classes + y) -
                          value_at(h.head.scores(z), n * spec.classes),
                      (d[0] - d[static_cast<size_t>(y)]) / 2.0, 1e-11);
      }
      EXPECT_NEAR(result.loss(), wanted_loss, 1e-11);
    }
}

TEST(MixtureHead, GradientsAgreeWithFiniteDifferences) {
  for (const MixtureSpec& spec : all_specs())
    for (const double beta : {0.0, 1.5, std::numeric_limits<double>::infinity()}) {
      Head h(spec, 0.3);
      const Tensor z = random_tensor({kBatch, spec.dims}, DType::f64, 3);
      const Tensor log_det = random_tensor({kBatch}, DType::f64, 4);
      const Tensor targets = Tensor::empty({kBatch, spec.classes}, DType::f64);
      targets.fill(0.25);
      const LossSpec loss{beta, 1.0};
      const Tensor grad_z = Tensor::zeros(z.shape(), DType::f64);
      const Tensor grad_log_det = Tensor::zeros({kBatch}, DType::f64);
      std::vector<CheckedTensor> checked = {{"z", z, grad_z}, {"log_det", log_det, grad_log_det}};
      for (const Parameter* p : h.state.parameters) checked.push_back({p->name, p->value, p->grad});
      const GradientReport report = check_gradients(
          [&] {
            h.store.mark_changed();
            return h.head.evaluate(z, log_det, targets, loss).loss();
          },
          [&] {
            LossResult result;
            const auto grads = h.head.evaluate_backward(z, log_det, targets, loss, result);
            grad_z.copy_from(grads.z);
            grad_log_det.copy_from(grads.log_det);
          },
          checked);
      EXPECT_LT(report.worst, 1e-7) << report.text();
    }
}

TEST(MixtureHead, RefusesSizesThatCannotBe) {
  MixtureSpec spec = small_spec(5, false);
  spec.classes = 14;
  expect_error(ErrorKind::usage, "13 mean dimensions cannot hold 14 classes",
               [&] { MixtureHead{spec}; });
  spec = small_spec(5, false);
  spec.classes = 0;
  EXPECT_THROW(MixtureHead{spec}, Error);
  spec = small_spec(0, false);
  spec.mean_dims = 30;
  EXPECT_THROW(MixtureHead{spec}, Error);
  const Head h(small_spec(5, true));
  expect_error(ErrorKind::usage, "a class below 4, got 4", [&] { (void)h.head.class_mean(4); });
  EXPECT_THROW((void)h.head.class_mean(-1), Error);
  EXPECT_THROW((void)h.head.scores(Tensor::zeros({0, 29}, DType::f64)), Error);
  EXPECT_THROW((void)h.head.scores(Tensor::zeros({2, 28}, DType::f64)), Error);
  EXPECT_THROW(
      (void)h.head.evaluate(Tensor::zeros({2, 29}, DType::f64), Tensor::zeros({3}, DType::f64),
                            Tensor::zeros({2, 4}, DType::f64), {}),
      Error);
}

}  // namespace
}  // namespace pal
