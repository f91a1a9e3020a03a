// Batch norms whose statistics are those of all ranks: the same function and gradients as in one
// process with the whole batch, and true gradients.
#include "autograd/norm_statistics.h"

#include <gtest/gtest.h>

#include "autograd/gradient_check.h"
#include "autograd/norm_product.h"
#include "runtime/parallel.h"
#include "tests/support/numeric.h"
#include "tests/support/thread_ranks.h"

namespace pal {
namespace {

using testing::random_tensor;
using testing::relative_difference;
using testing::values_of;

constexpr int64_t kIn = 3;
constexpr int64_t kInner = 5;
constexpr int64_t kOut = 4;

/// A parameter with the memory of its value in common, and a gradient of its own.
void give(Parameter& p, const Tensor& value) {
  p.shape = value.shape();
  p.value = value;
  p.grad = Tensor::zeros(value.shape(), value.dtype());
}

/// The values of a net, which all ranks share.
struct Values {
  Values() {
    const auto made = [](const Shape& shape, uint64_t key) {
      return random_tensor(shape, DType::f64, key, 0.5);
    };
    all = {made({kInner, 3, 3, kIn}, 11), made({kInner}, 12), made({kInner}, 13),
           made({kOut, 1, 1, kInner}, 14), made({kOut}, 15)};
  }
  std::vector<Tensor> all;
};

enum class Way { plain, norm_conv, stem, lean_stem, product };
constexpr Way kWays[] = {Way::plain, Way::norm_conv, Way::stem, Way::lean_stem, Way::product};

/// What one rank has: stem 3x3, batch norm with ReLU, conv 1x1 with bias, and, for Way::product,
/// the statistics of the result.
class Net {
 public:
  Net(const Values& values, Communicator* ranks) : ranks_(ranks) {
    for (size_t i = 0; i < 5; ++i) give(parameters[i], values.all[i]);
  }

  /// Measures the statistics anew.
  Variable run(const Variable& x, Way way) {
    const Conv stem = {&parameters[0], nullptr, {3, 1, 1}};
    const Conv conv = {&parameters[3], &parameters[4], {1, 1, 0}};
    const Norm norm = {&parameters[1], &parameters[2], true, ranks_};
    NormRun run;
    run.measure = statistics = fresh(kInner);
    run.args = {statistics.mean, statistics.inv_std, parameters[1].value, parameters[2].value};
    run.batch_statistics_used = true;
    if (way == Way::stem || way == Way::lean_stem)
      return stem_norm_conv(x, stem, norm, run, conv, {way == Way::lean_stem, 1}, DType::f64);
    const Variable z = conv2d(x, stem);
    measure_norm(z.value(), run.measure, ranks_);
    if (way == Way::norm_conv) return norm_conv(z, norm, run, conv, DType::f64);
    if (way == Way::plain) return conv2d(batch_norm(z, run.args, norm, true, DType::f64), conv);
    of_result = fresh(kOut);
    return norm_product(z, norm, run, conv, DType::f64, of_result);
  }
  std::vector<double> all_statistics() const {
    std::vector<double> all;
    for (const BatchStatistics* each : {&statistics, &of_result})
      for (const Tensor& t : {each->mean, each->inv_std, each->running_mean, each->running_var})
        for (const double value : t.defined() ? values_of(t) : std::vector<double>())
          all.push_back(value);
    return all;
  }

  Parameter parameters[5];
  BatchStatistics statistics, of_result;

 private:
  static BatchStatistics fresh(int64_t channels) {
    const auto zeros = [&] { return Tensor::zeros({channels}, DType::f64); };
    return {zeros(), zeros(), zeros(), zeros()};
  }

  Communicator* ranks_;
};

/// The first of the images of rank r, of ranks with these numbers of images.
int64_t first_of(const std::vector<int64_t>& shares, size_t r) {
  int64_t begin = 0;
  for (size_t i = 0; i < r; ++i) begin += shares[i];
  return begin;
}

/// Outputs and gradients of x by image, gradients of parameters summed over the ranks, and the
/// statistics of each rank.
struct Outcome {
  Tensor y, grad_x;
  std::vector<Tensor> grads;
  std::vector<std::vector<double>> statistics;
};

/// Differentiates <y, weights> on ranks with these numbers of images of x.
Outcome run_on(const std::vector<int64_t>& shares, const Values& values, const Tensor& x,
               const Tensor& weights, Way way) {
  Outcome outcome = {Tensor::zeros(weights.shape(), DType::f64),
                     Tensor::zeros(x.shape(), DType::f64),
                     {},
                     std::vector<std::vector<double>>(shares.size())};
  for (const Tensor& t : values.all) outcome.grads.push_back(Tensor::zeros(t.shape(), DType::f64));
  testing::on_ranks(static_cast<int>(shares.size()), [&](Communicator& ranks) {
    const ThreadScope one(1);
    const auto r = static_cast<size_t>(ranks.rank());
    const auto mine = [&](const Tensor& t) {
      return t.slice_batch(first_of(shares, r), shares[r]);
    };
    Net net(values, shares.size() > 1 ? &ranks : nullptr);
    const Variable input(mine(x), true);
    const Variable y = net.run(input, way);
    mine(outcome.y).copy_from(y.value());
    backward_from(y, mine(weights).clone());
    mine(outcome.grad_x).copy_from(input.grad());
    for (size_t i = 0; i < 5; ++i) {
      const Tensor sum = net.parameters[i].grad.clone();
      ranks.all_reduce(sum);
      if (r == 0) outcome.grads[i].copy_from(sum);
    }
    outcome.statistics[r] = net.all_statistics();
  });
  return outcome;
}

TEST(NormStatistics, AreThoseOfOneProcessWithTheWholeBatch) {
  const Values values;
  const Tensor x = random_tensor({5, 4, 3, kIn}, DType::f64, 3);
  const Tensor weights = random_tensor({5, 4, 3, kOut}, DType::f64, 22);
  for (const Way way : kWays) {
    const Outcome whole = run_on({5}, values, x, weights, way);
    for (const std::vector<int64_t>& shares :
         std::vector<std::vector<int64_t>>{{2, 3}, {1, 3, 1}, {1, 1, 2, 1}}) {
      const Outcome found = run_on(shares, values, x, weights, way);
      const std::string what =
          std::to_string(static_cast<int>(way)) + " on " + std::to_string(shares.size());
      EXPECT_LT(relative_difference(values_of(found.y), values_of(whole.y)), 1e-12) << what;
      EXPECT_LT(relative_difference(values_of(found.grad_x), values_of(whole.grad_x)), 1e-12)
          << what;
      for (size_t i = 0; i < 5; ++i)
        EXPECT_LT(relative_difference(values_of(found.grads[i]), values_of(whole.grads[i])), 1e-12)
            << what << ", parameter " << i;
      for (const auto& each : found.statistics) EXPECT_EQ(each, found.statistics[0]) << what;
      EXPECT_LT(relative_difference(found.statistics[0], whole.statistics[0]), 1e-12) << what;
    }
  }
}

// The norm's own gradients are those of a rank's rows: nothing is counted twice.
TEST(NormStatistics, GradientsOfParametersAreARanksOwn) {
  const Values values;
  const Tensor x = random_tensor({2, 2, 2, kIn}, DType::f64, 3);
  testing::on_ranks(2, [&](Communicator& ranks) {
    Net net(values, &ranks);
    const Variable y = net.run(Variable(x.slice_batch(ranks.rank(), 1)), Way::plain);
    // Only rank 1 has a loss.
    const Tensor grad = random_tensor(y.value().shape(), DType::f64, 22);
    if (ranks.rank() == 0) grad.zero();
    backward_from(y, grad);
    for (const size_t i : {1, 2})
      EXPECT_EQ(testing::largest_magnitude(net.parameters[i].grad) == 0.0, ranks.rank() == 0);
    // Yet the statistics that both made carry a gradient to the stem of rank 0.
    EXPECT_GT(testing::largest_magnitude(net.parameters[0].grad), 1e-3);
  });
}

TEST(NormStatistics, GradientsAgreeWithFiniteDifferences) {
  for (const Way way : kWays) {
    const Values values;
    const std::vector<int64_t> shares = {2, 1};
    const Tensor x = random_tensor({3, 3, 2, kIn}, DType::f64, 3);
    const Tensor weights = random_tensor({3, 3, 2, kOut}, DType::f64, 22);
    const Tensor grad_x = Tensor::zeros(x.shape(), DType::f64);
    std::vector<CheckedTensor> checked = {{"x", x, grad_x}};
    for (size_t i = 0; i < 5; ++i)
      checked.push_back(
          {std::to_string(i), values.all[i], Tensor::zeros(values.all[i].shape(), DType::f64)});
    const auto loss = [&] {
      return testing::inner(run_on(shares, values, x, weights, way).y, weights);
    };
    const auto run = [&] {
      const Outcome outcome = run_on(shares, values, x, weights, way);
      grad_x.copy_from(outcome.grad_x);
      for (size_t i = 0; i < 5; ++i) checked[i + 1].gradient.copy_from(outcome.grads[i]);
    };
    const GradientReport report = check_gradients(loss, run, checked, {.most_entries = 40});
    EXPECT_LT(report.worst, 1e-6) << static_cast<int>(way) << ": " << report.text();
    EXPECT_GT(report.entries, 100);
  }
}

// Statistics of a channel slice, whose rows have gaps.
TEST(NormStatistics, OfASlice) {
  const Tensor wide = random_tensor({4, 3, 2, 7}, DType::f64, 3);
  const Tensor x = wide.slice_channels(2, 3);
  const auto fresh = [] {
    const auto zeros = [] { return Tensor::zeros({3}, DType::f64); };
    return BatchStatistics{zeros(), zeros(), zeros(), zeros()};
  };
  const BatchStatistics wanted = fresh();
  measure_norm(x, wanted, nullptr);
  testing::on_ranks(2, [&](Communicator& ranks) {
    const BatchStatistics found = fresh();
    measure_norm(ranks.rank() == 0 ? x.slice_batch(0, 1) : x.slice_batch(1, 3), found, &ranks);
    EXPECT_LT(relative_difference(values_of(found.mean), values_of(wanted.mean)), 1e-13);
    EXPECT_LT(relative_difference(values_of(found.inv_std), values_of(wanted.inv_std)), 1e-13);
  });
}

}  // namespace
}  // namespace pal
