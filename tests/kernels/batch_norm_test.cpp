#include "kernels/norm/batch_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autograd/gradient_check.h"
#include "runtime/parallel.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::largest_magnitude;
using testing::pitched_copy;
using testing::pitched_tensor;
using testing::random_tensor;
using testing::set_value;
using testing::tensor_with;
using testing::value_at;
using testing::values_of;

const Shape kShapes[] = {{1, 1, 1, 1}, {2, 3, 5, 1},   {3, 7, 5, 17},
                         {1, 1, 1, 7}, {2, 16, 9, 31}, {4, 20, 20, 48}};

constexpr double kEpsilon = 1e-5;

/// Mean and biased variance of each channel, straight from the definition in double.
void measure(const Tensor& x, const Tensor& mean, const Tensor& variance) {
  const int64_t channels = x.channels();
  mean.zero();
  variance.zero();
  const auto rows = static_cast<double>(x.rows());
  for (int64_t i = 0; i < x.numel(); ++i)
    mean.data<double>()[i % channels] += value_at(x, i) / rows;
  for (int64_t i = 0; i < x.numel(); ++i)
    variance.data<double>()[i % channels] +=
        std::pow(value_at(x, i) - mean.data<double>()[i % channels], 2) / rows;
}

/// Batch norm of given values with parameters of its own.
struct Case {
  Case(const Shape& shape, uint64_t key) {
    const int64_t channels = shape.last();
    x = random_tensor(shape, DType::f64, key, 1.5);
    for (int64_t i = 0; i < x.numel(); ++i) set_value(x, i, value_at(x, i) + 0.3);
    grad_y = random_tensor(shape, DType::f64, key + 1);
    args.weight = random_tensor({channels}, DType::f64, key + 2);
    args.bias = random_tensor({channels}, DType::f64, key + 3);
    args.mean = random_tensor({channels}, DType::f64, key + 4);
    args.inv_std = Tensor::empty({channels}, DType::f64);
    for (int64_t c = 0; c < channels; ++c)
      set_value(args.inv_std, c, 0.5 + 0.1 * static_cast<double>(c % 7));
  }
  void use_batch_statistics() const {
    const Tensor variance = Tensor::empty(args.mean.shape(), DType::f64);
    measure(x, args.mean, variance);
    for (int64_t c = 0; c < variance.numel(); ++c)
      set_value(args.inv_std, c, 1.0 / std::sqrt(value_at(variance, c) + kEpsilon));
  }
  BatchNormArgs args_in(DType dtype) const {
    return {args.mean.to(dtype), args.inv_std.to(dtype), args.weight.to(dtype),
            args.bias.to(dtype)};
  }

  Tensor x, grad_y;
  BatchNormArgs args;
};

TEST(BatchNorm, HandValues) {
  const Tensor x = tensor_with({4, 1}, DType::f32, {1, 2, 3, 6});
  const Tensor mean = Tensor::empty({1});
  const Tensor variance = Tensor::empty({1});
  cpu::batch_statistics(x, mean, variance);
  EXPECT_EQ(value_at(mean, 0), 3.0);
  EXPECT_EQ(value_at(variance, 0), 3.5);
  // (x - 3) * 0.5 * 4 - 2
  const BatchNormArgs args = {mean, tensor_with({1}, DType::f32, {0.5}),
                              tensor_with({1}, DType::f32, {4}),
                              tensor_with({1}, DType::f32, {-2})};
  const Tensor y = Tensor::empty({4, 1});
  cpu::batch_norm_forward(x, args, false, y);
  EXPECT_EQ(values_of(y), (std::vector<double>{-6, -4, -2, 4}));
  cpu::batch_norm_forward(x, args, true, y);
  EXPECT_EQ(values_of(y), (std::vector<double>{0, 0, 0, 4}));
}

TEST(BatchNorm, StatisticsAgreeWithTheDefinition) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16})
    for (const Shape& shape : kShapes) {
      const Tensor x = random_tensor(shape, dtype, 1);
      const DType parameters = dtype == DType::f64 ? DType::f64 : DType::f32;
      const Tensor mean = Tensor::empty({shape.last()}, parameters);
      const Tensor variance = Tensor::empty({shape.last()}, parameters);
      const Tensor wanted_mean = Tensor::empty({shape.last()}, DType::f64);
      const Tensor wanted_variance = Tensor::empty({shape.last()}, DType::f64);
      measure(x, wanted_mean, wanted_variance);
      // Float sums of 256 squares around the first row's value, which may lie 3 deviations off.
      const double tolerance = dtype == DType::f64 ? 1e-12 : 1e-5;
      for (const bool pitched : {false, true}) {
        cpu::batch_statistics(pitched ? pitched_copy(x) : x, mean, variance);
        expect_near(mean, wanted_mean, tolerance, shape.str() + " mean");
        expect_near(variance, wanted_variance, tolerance, shape.str() + " variance");
      }
    }
}

TEST(BatchNorm, AFarMeanDoesNotDrownTheVariance) {
  const Tensor x = random_tensor({40, 30, 3}, DType::f32, 1);
  for (int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] += 3000.0F;
  const Tensor mean = Tensor::empty({3});
  const Tensor variance = Tensor::empty({3});
  cpu::batch_statistics(x, mean, variance);
  const Tensor wanted_mean = Tensor::empty({3}, DType::f64);
  const Tensor wanted_variance = Tensor::empty({3}, DType::f64);
  measure(x, wanted_mean, wanted_variance);
  expect_near(variance, wanted_variance, 1e-4);
  // A constant channel has none.
  x.fill(0.1);
  cpu::batch_statistics(x, mean, variance);
  expect_near(variance, Tensor::zeros({3}), 0.0);
}

TEST(BatchNorm, StatisticsForTrainingByHand) {
  const Tensor x = tensor_with({4, 1}, DType::f32, {1, 2, 3, 6});
  const BatchStatistics s = {.mean = Tensor::empty({1}),
                             .inv_std = Tensor::empty({1}),
                             .running_mean = tensor_with({1}, DType::f32, {7}),
                             .running_var = tensor_with({1}, DType::f32, {2}),
                             .epsilon = 0.5,
                             .momentum = 0.25};
  cpu::batch_norm_statistics(x, s);
  EXPECT_EQ(value_at(s.mean, 0), 3.0);
  // The biased variance is 3.5, the unbiased one 14 / 3.
  EXPECT_EQ(value_at(s.inv_std, 0), 0.5);
  EXPECT_EQ(value_at(s.running_mean, 0), 0.75 * 7 + 0.25 * 3);
  EXPECT_NEAR(value_at(s.running_var, 0), 0.75 * 2 + 0.25 * 14 / 3, 1e-6);
  // A single row has no unbiased variance.
  cpu::batch_norm_statistics(tensor_with({1, 1}, DType::f32, {5}), s);
  EXPECT_NEAR(value_at(s.inv_std, 0), std::sqrt(2.0), 1e-6);
  EXPECT_NEAR(value_at(s.running_var, 0), 0.75 * (0.75 * 2 + 0.25 * 14 / 3), 1e-6);
}

TEST(BatchNorm, StatisticsForTrainingFollowThoseOfTheBatch) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16})
    for (const Shape& shape : kShapes) {
      const DType parameters = dtype == DType::f64 ? DType::f64 : DType::f32;
      const int64_t channels = shape.last();
      const Tensor x = pitched_copy(random_tensor(shape, dtype, 1));
      const Tensor mean = Tensor::empty({channels}, parameters);
      const Tensor variance = Tensor::empty({channels}, parameters);
      cpu::batch_statistics(x, mean, variance);
      const Tensor before = random_tensor({channels}, parameters, 2);
      BatchStatistics s;
      s.mean = Tensor::empty({channels}, parameters);
      s.inv_std = Tensor::empty({channels}, parameters);
      s.running_mean = before.clone();
      s.running_var = before.clone();
      cpu::batch_norm_statistics(x, s);
      EXPECT_EQ(values_of(s.mean), values_of(mean)) << shape.str();
      const auto rows = static_cast<double>(x.rows());
      const double unbiased = rows > 1 ? rows / (rows - 1) : 1.0;
      const double tolerance = parameters == DType::f64 ? 1e-14 : 1e-6;
      for (int64_t c = 0; c < channels; ++c) {
        const double wanted = 1.0 / std::sqrt(value_at(variance, c) + kEpsilon);
        EXPECT_NEAR(value_at(s.inv_std, c), wanted, 1e-7 * wanted);
        const double kept = 0.95 * value_at(before, c);
        EXPECT_NEAR(value_at(s.running_mean, c), kept + 0.05 * value_at(mean, c), tolerance);
        EXPECT_NEAR(value_at(s.running_var, c), kept + 0.05 * unbiased * value_at(variance, c),
                    tolerance);
      }
    }
}

TEST(BatchNorm, InverseDeviation) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor variance = tensor_with({3}, dtype, {0.0, 1.0, 3.75});
    const Tensor inv_std = Tensor::empty({3}, dtype);
    cpu::inverse_deviation(variance, 0.25, inv_std);
    expect_near(inv_std, tensor_with({3}, DType::f64, {2.0, 1 / std::sqrt(1.25), 0.5}),
                dtype == DType::f32 ? 1e-7 : 1e-15);
  }
}

TEST(BatchNorm, ForwardCoversDtypesAndPitches) {
  const std::pair<DType, DType> pairs[] = {{DType::f64, DType::f64},
                                           {DType::f32, DType::f32},
                                           {DType::f32, DType::bf16},
                                           {DType::bf16, DType::bf16}};
  for (const auto& [from, to] : pairs)
    for (const Shape& shape : kShapes)
      for (const bool relu : {false, true})
        for (const bool pitched : {false, true}) {
          const Case c(shape, 5);
          const Tensor x = c.x.to(from);
          const BatchNormArgs args = c.args_in(from == DType::f64 ? DType::f64 : DType::f32);
          const Tensor wanted = Tensor::empty(shape, DType::f64);
          for (int64_t i = 0; i < x.numel(); ++i) {
            const int64_t ch = i % shape.last();
            const double value = (value_at(x, i) - value_at(args.mean, ch)) *
                                     value_at(args.inv_std, ch) * value_at(args.weight, ch) +
                                 value_at(args.bias, ch);
            set_value(wanted, i, relu ? std::max(0.0, value) : value);
          }
          const Tensor y = pitched ? pitched_tensor(shape, to) : Tensor::empty(shape, to);
          cpu::batch_norm_forward(pitched ? pitched_copy(x) : x, args, relu, y);
          const double unit = to == DType::bf16 ? 1.0 / 256 : to == DType::f32 ? 4e-7 : 1e-15;
          expect_near(y, wanted, unit * std::max(1.0, largest_magnitude(wanted)), shape.str());
          if (from != to) continue;
          const Tensor own = pitched ? pitched_copy(x) : x.clone();
          cpu::batch_norm_forward(own, args, relu, own);
          EXPECT_EQ(values_of(own), values_of(y)) << shape.str() << " in place";
        }
}

TEST(BatchNorm, NanPassesTheRelu) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const auto& [from, to] :
       {std::pair{DType::f32, DType::f32}, {DType::f32, DType::bf16}, {DType::f64, DType::f64}}) {
    const Case c({40, 1}, 5);
    const Tensor x = c.x.to(from);
    set_value(x, 33, nan);
    const Tensor y = Tensor::empty({40, 1}, to);
    cpu::batch_norm_forward(x, c.args_in(from), true, y);
    for (int64_t i = 0; i < 40; ++i) EXPECT_EQ(std::isnan(value_at(y, i)), i == 33) << i;
  }
}

struct Options {
  bool relu;
  bool batch_statistics;
  bool accumulate;
  bool pitched;
};

class BatchNormGradient : public ::testing::TestWithParam<int> {
 protected:
  Options options() const {
    const int bits = GetParam();
    return {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0};
  }
};

TEST_P(BatchNormGradient, AgreesWithFiniteDifferences) {
  const Options o = options();
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{2, 3, 3, 7}, Shape{3, 5, 1, 17}}) {
    Case c(shape, 11);
    if (o.pitched) c.x = pitched_copy(c.x), c.grad_y = pitched_copy(c.grad_y);
    const Tensor weights_x = random_tensor(shape, DType::f64, 20);
    const Tensor y = Tensor::empty(shape, DType::f64);
    const auto loss = [&] {
      if (o.batch_statistics) c.use_batch_statistics();
      cpu::batch_norm_forward(c.x, c.args, o.relu, y);
      // With `accumulate` another gradient is there already, that of this second term.
      return testing::inner(y, c.grad_y) + (o.accumulate ? testing::inner(c.x, weights_x) : 0.0);
    };
    BatchNormGrads grads;
    grads.x = o.pitched ? pitched_tensor(shape, DType::f64) : Tensor::empty(shape, DType::f64);
    grads.weight = Tensor::zeros({shape.last()}, DType::f64);
    grads.bias = Tensor::zeros({shape.last()}, DType::f64);
    grads.accumulate_x = o.accumulate;
    const auto backward = [&] {
      if (o.batch_statistics) c.use_batch_statistics();
      if (o.accumulate) grads.x.copy_from(weights_x);
      cpu::batch_norm_backward(c.x, c.grad_y, c.args, o.relu, o.batch_statistics, grads);
    };
    const GradientReport report = check_gradients(loss, backward,
                                                  {{"x", c.x, grads.x},
                                                   {"weight", c.args.weight, grads.weight},
                                                   {"bias", c.args.bias, grads.bias}});
    EXPECT_LT(report.worst, 1e-7) << shape.str() << " " << report.text();
  }
}

TEST_P(BatchNormGradient, LowerPrecisionsFollowDouble) {
  const Options o = options();
  const std::pair<DType, DType> pairs[] = {
      {DType::f32, DType::f32}, {DType::f32, DType::bf16}, {DType::bf16, DType::bf16}};
  for (const auto& [dtype_x, dtype_y] : pairs)
    for (const Shape& shape : kShapes) {
      const Case c(shape, 31);
      // Both precisions see the same rounded numbers.
      c.x.copy_from(c.x.to(dtype_x).to(DType::f64));
      c.grad_y.copy_from(c.grad_y.to(dtype_y).to(DType::f64));
      const auto run = [&](DType x_type, DType y_type, DType parameters) {
        BatchNormGrads grads;
        const Tensor x = c.x.to(x_type);
        const Tensor grad_y = c.grad_y.to(y_type);
        grads.x = o.pitched ? pitched_tensor(shape, x_type) : Tensor::empty(shape, x_type);
        grads.x.fill(0.5);
        grads.accumulate_x = o.accumulate;
        grads.weight = Tensor::zeros({shape.last()}, parameters);
        grads.bias = Tensor::zeros({shape.last()}, parameters);
        cpu::batch_norm_backward(o.pitched ? pitched_copy(x) : x,
                                 o.pitched ? pitched_copy(grad_y) : grad_y, c.args_in(parameters),
                                 o.relu, o.batch_statistics, grads);
        return grads;
      };
      const BatchNormGrads wanted = run(DType::f64, DType::f64, DType::f64);
      const BatchNormGrads actual = run(dtype_x, dtype_y, DType::f32);
      const double unit = dtype_x == DType::bf16 ? 1.0 / 128 : 4e-6;
      const auto compare = [&](const Tensor& a, const Tensor& b, double share, const char* what) {
        expect_near(a, b, share * std::max(1.0, largest_magnitude(b)), shape.str() + " " + what);
      };
      compare(actual.x, wanted.x, unit, "x");
      compare(actual.weight, wanted.weight, 4e-6, "weight");
      compare(actual.bias, wanted.bias, 4e-6, "bias");
    }
}

INSTANTIATE_TEST_SUITE_P(Options, BatchNormGradient, ::testing::Range(0, 16), [](const auto& each) {
  const int bits = each.param;
  return std::string(bits & 1 ? "relu_" : "plain_") + (bits & 2 ? "batch_" : "running_") +
         (bits & 4 ? "added_" : "written_") + (bits & 8 ? "pitched" : "dense");
});

TEST(BatchNorm, UnwantedGradientsMayBeUndefined) {
  const Case c({3, 5, 5, 7}, 3);
  BatchNormGrads all;
  all.x = Tensor::empty(c.x.shape(), DType::f64);
  all.weight = Tensor::zeros({7}, DType::f64);
  all.bias = Tensor::zeros({7}, DType::f64);
  cpu::batch_norm_backward(c.x, c.grad_y, c.args, true, true, all);
  BatchNormGrads only_x;
  only_x.x = Tensor::empty(c.x.shape(), DType::f64);
  cpu::batch_norm_backward(c.x, c.grad_y, c.args, true, true, only_x);
  EXPECT_EQ(values_of(only_x.x), values_of(all.x));
  BatchNormGrads only_weight;
  only_weight.weight = Tensor::zeros({7}, DType::f64);
  cpu::batch_norm_backward(c.x, c.grad_y, c.args, true, true, only_weight);
  EXPECT_EQ(values_of(only_weight.weight), values_of(all.weight));
}

TEST(BatchNorm, ThreadsDoNotChangeABit) {
  const Case c({3, 40, 40, 37}, 3);
  const Tensor x = c.x.to(DType::f32);
  const Tensor grad_y = c.grad_y.to(DType::f32);
  const BatchNormArgs args = c.args_in(DType::f32);
  const auto run = [&](int threads) {
    set_thread_count(threads);
    const Tensor mean = Tensor::empty({37});
    const Tensor variance = Tensor::empty({37});
    cpu::batch_statistics(x, mean, variance);
    const Tensor y = Tensor::empty(x.shape());
    cpu::batch_norm_forward(x, args, true, y);
    const BatchNormGrads grads = {Tensor::empty(x.shape()), Tensor::zeros({37}),
                                  Tensor::zeros({37}), false};
    cpu::batch_norm_backward(x, grad_y, args, true, true, grads);
    std::vector<std::vector<double>> all;
    for (const Tensor& t : {mean, variance, y, grads.x, grads.weight, grads.bias})
      all.push_back(values_of(t));
    return all;
  };
  const auto one = run(1);
  EXPECT_EQ(run(2), one);
  EXPECT_EQ(run(5), one);
  set_thread_count(2);
}

TEST(BatchNorm, RefusesWhatDoesNotFit) {
  const Case c({2, 3, 3, 7}, 3);
  const Tensor y = Tensor::empty(c.x.shape(), DType::f64);
  const Tensor empty = Tensor::zeros({0, 3, 3, 7}, DType::f64);
  const Tensor seven = Tensor::zeros({7}, DType::f64);
  expect_error(ErrorKind::usage, "at least one row, got [0, 3, 3, 7]",
               [&] { cpu::batch_norm_forward(empty, c.args, true, empty); });
  expect_error(ErrorKind::usage, "batch_statistics: expected rows",
               [&] { cpu::batch_statistics(empty, seven, seven); });
  expect_error(ErrorKind::usage, "7 channels",
               [&] { cpu::batch_statistics(c.x, seven, Tensor::zeros({6}, DType::f64)); });
  BatchStatistics statistics{seven, seven, seven, seven};
  expect_error(ErrorKind::usage, "batch_norm_statistics: expected rows",
               [&] { cpu::batch_norm_statistics(empty, statistics); });
  statistics.running_var = Tensor::zeros({6}, DType::f64);
  expect_error(ErrorKind::usage, "7 channels",
               [&] { cpu::batch_norm_statistics(c.x, statistics); });
  expect_error(ErrorKind::usage, "expected inv_std of shape [7], got [6]",
               [&] { cpu::inverse_deviation(seven, kEpsilon, Tensor::zeros({6}, DType::f64)); });
  expect_error(ErrorKind::usage, "batch_norm_forward: expected [2, 3, 3, 7], got [2, 3, 3, 6]",
               [&] { cpu::batch_norm_forward(c.x, c.args, true, y.slice_channels(0, 6)); });
  BatchNormArgs wrong = c.args;
  wrong.weight = Tensor::zeros({6}, DType::f64);
  expect_error(ErrorKind::usage, "parameters of 7 channels",
               [&] { cpu::batch_norm_forward(c.x, wrong, true, y); });
  expect_error(ErrorKind::usage, "no kernel for x of bf16 and y of f32", [&] {
    cpu::batch_norm_forward(c.x.to(DType::bf16), c.args, true, y.to(DType::f32));
  });
  BatchNormGrads grads;
  grads.x = y.to(DType::f32);
  expect_error(ErrorKind::usage, "expected grad_x like x",
               [&] { cpu::batch_norm_backward(c.x, c.grad_y, c.args, true, true, grads); });
  grads.x = Tensor();
  grads.bias = Tensor::zeros({6}, DType::f64);
  expect_error(ErrorKind::usage, "gradients of 7 channels",
               [&] { cpu::batch_norm_backward(c.x, c.grad_y, c.args, true, true, grads); });
}

}  // namespace
}  // namespace pal
