#include "autograd/ops.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/gradient_check.h"
#include "kernels/library/platform.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_near;
using testing::random_tensor;
using testing::values_of;

/// A parameter with memory of its own.
struct Owned : Parameter {
  Owned(const Shape& of, DType dtype, uint64_t key) : Parameter(of, Init::custom()) {
    value = random_tensor(of, dtype, key);
    grad = Tensor::zeros(of, dtype);
  }
};

/// Checks x (and parameters) of y = op(x) in double under the loss <y, random>.
void check(const Tensor& x, const std::function<Variable(const Variable&)>& op,
           std::vector<CheckedTensor> parameters) {
  Tensor weights;
  {
    const NoGradGuard no_grad;
    weights = random_tensor(op(Variable(x)).value().shape(), DType::f64, 99);
  }
  const Tensor grad_x = Tensor::zeros(x.shape(), DType::f64);
  const auto loss = [&] {
    const NoGradGuard no_grad;
    return testing::inner(op(Variable(x)).value(), weights);
  };
  const auto run = [&] {
    const Variable input(x, true);
    backward({op(input)}, {weights});
    grad_x.copy_from(input.grad());
  };
  parameters.push_back({"x", x, grad_x});
  const GradientReport report = check_gradients(loss, run, parameters);
  EXPECT_LT(report.worst, 1e-7) << report.text();
  EXPECT_GT(report.entries, 0);
}

TEST(Ops, ConvolutionGradients) {
  for (const ConvGeometry& g : {ConvGeometry{1, 1, 0}, {3, 1, 1}, {3, 2, 1}, {7, 2, 3}})
    for (const bool biased : {false, true})
      for (const bool pitched : {false, true}) {
        Owned weight({3, g.kernel, g.kernel, 2}, DType::f64, 1);
        Owned bias({3}, DType::f64, 2);
        Tensor x = random_tensor({2, 5, 4, 2}, DType::f64, 3);
        if (pitched) x = testing::pitched_copy(x);
        std::vector<CheckedTensor> parameters = {{"weight", weight.value, weight.grad}};
        if (biased) parameters.push_back({"bias", bias.value, bias.grad});
        check(
            x,
            [&](const Variable& v) {
              return conv2d(v, {&weight, biased ? &bias : nullptr, g});
            },
            parameters);
      }
}

TEST(Ops, BatchNormGradients) {
  for (const bool relu_too : {false, true})
    for (const bool batch : {false, true}) {
      Owned weight({3}, DType::f64, 1);
      Owned bias({3}, DType::f64, 2);
      const Tensor x = random_tensor({2, 3, 4, 3}, DType::f64, 3);
      const auto op = [&](const Variable& v) {
        BatchNormArgs args = {Tensor::empty({3}, DType::f64), Tensor::empty({3}, DType::f64),
                              weight.value, bias.value};
        if (batch) {
          cpu::batch_statistics(v.value(), args.mean, args.inv_std);
          for (int64_t c = 0; c < 3; ++c) {
            double& inv_std = args.inv_std.data<double>()[c];
            inv_std = 1.0 / std::sqrt(inv_std + 1e-5);
          }
        } else {
          args.mean.fill(0.2);
          args.inv_std.fill(1.3);
        }
        return batch_norm(v, args, {&weight, &bias, relu_too}, batch, DType::f64);
      };
      check(x, op, {{"weight", weight.value, weight.grad}, {"bias", bias.value, bias.grad}});
    }
}

TEST(Ops, ReluGradients) {
  check(random_tensor({2, 3, 4, 5}, DType::f64, 3), [](const Variable& v) { return relu(v); }, {});
}

TEST(Ops, MaxPoolGradients) {
  for (const PoolGeometry& g : {PoolGeometry{3, 2, 1}, {2, 2, 0}})
    for (const bool pitched : {false, true}) {
      Tensor x = random_tensor({2, 5, 4, 3}, DType::f64, 3);
      if (pitched) x = testing::pitched_copy(x);
      check(x, [&](const Variable& v) { return max_pool(v, g); }, {});
    }
}

TEST(Ops, AveragePoolGradients) {
  const Tensor x = random_tensor({2, 3, 5, 4}, DType::f64, 3);
  check(x, [](const Variable& v) { return average_pool(v); }, {});
  const NoGradGuard no_grad;
  const Tensor y = average_pool(Variable(x)).value();
  EXPECT_EQ(y.shape(), (Shape{2, 4}));
  double sum = 0.0;
  for (int64_t pixel = 0; pixel < 15; ++pixel) sum += testing::value_at(x, (15 + pixel) * 4 + 2);
  EXPECT_NEAR(testing::value_at(y, 6), sum / 15, 1e-14);
}

TEST(Ops, LinearGradients) {
  Owned weight({3, 5}, DType::f64, 1);
  Owned bias({3}, DType::f64, 2);
  for (const bool pitched : {false, true}) {
    Tensor x = random_tensor({4, 5}, DType::f64, 3);
    if (pitched) x = testing::pitched_copy(x);
    check(x, [&](const Variable& v) { return linear(v, weight, bias); },
          {{"weight", weight.value, weight.grad}, {"bias", bias.value, bias.grad}});
  }
}

TEST(Ops, LinearIsAMatrixProduct) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Owned weight({3, 17}, dtype, 1);
    Owned bias({3}, dtype, 2);
    const Tensor x = random_tensor({5, 17}, dtype, 3);
    const Tensor wanted = Tensor::empty({5, 3}, DType::f64);
    for (int64_t n = 0; n < 5; ++n)
      for (int64_t o = 0; o < 3; ++o) {
        double sum = testing::value_at(bias.value, o);
        for (int64_t i = 0; i < 17; ++i)
          sum += testing::value_at(x, n * 17 + i) * testing::value_at(weight.value, o * 17 + i);
        testing::set_value(wanted, n * 3 + o, sum);
      }
    const NoGradGuard no_grad;
    expect_near(linear(Variable(x), weight, bias).value(), wanted,
                dtype == DType::f32 ? 1e-5 : 1e-13);
  }
}

TEST(Ops, AddReluGradients) {
  const Tensor other = random_tensor({2, 3, 4, 5}, DType::f64, 4);
  Owned weight({5, 1, 1, 5}, DType::f64, 1);
  // Of the branch, of the shortcut, and of one variable that is both: the identity shortcut.
  const Tensor x = random_tensor({2, 3, 4, 5}, DType::f64, 3);
  const auto branch = [&](const Variable& v) { return conv2d(v, {&weight, nullptr, {1, 1, 0}}); };
  const std::vector<CheckedTensor> parameters = {{"weight", weight.value, weight.grad}};
  check(
      x, [&](const Variable& v) { return add_relu(branch(v), Variable(other)); }, parameters);
  check(
      x, [&](const Variable& v) { return add_relu(branch(Variable(other)), v); }, parameters);
  check(
      x, [&](const Variable& v) { return add_relu(branch(v), v); }, parameters);
}

TEST(Ops, ASmallSubnetOnOneTape) {
  Owned first({4, 3, 3, 2}, DType::f64, 1);
  Owned second({3, 1, 1, 4}, DType::f64, 2);
  Owned bias({3}, DType::f64, 3);
  const auto op = [&](const Variable& v) {
    return conv2d(relu(conv2d(v, {&first, nullptr, {3, 1, 1}})), {&second, &bias, {1, 1, 0}});
  };
  check(random_tensor({2, 4, 3, 2}, DType::f64, 4), op,
        {{"first", first.value, first.grad},
         {"second", second.value, second.grad},
         {"bias", bias.value, bias.grad}});
}

TEST(Ops, ParameterGradientsAddUpWithoutAnInputGradient) {
  Owned weight({3, 1, 1, 2}, DType::f64, 1);
  const Tensor x = random_tensor({2, 4, 3, 2}, DType::f64, 4);
  const Tensor grad_y = random_tensor({2, 4, 3, 3}, DType::f64, 5);
  const auto run = [&](bool want) {
    const Variable input(x, want);
    backward({conv2d(input, {&weight, nullptr, {1, 1, 0}})}, {grad_y});
    EXPECT_EQ(input.grad().defined(), want);
    return values_of(weight.grad);
  };
  const auto once = run(true);
  const auto twice = run(false);
  for (size_t i = 0; i < once.size(); ++i) EXPECT_DOUBLE_EQ(twice[i], 2 * once[i]);
}

TEST(Ops, BatchNormAddsToARedirectedGradient) {
  Owned weight({3}, DType::f64, 1);
  Owned bias({3}, DType::f64, 2);
  const Tensor x = random_tensor({2, 3, 4, 3}, DType::f64, 3);
  const Tensor grad_y = random_tensor({2, 3, 4, 3}, DType::f64, 4);
  const BatchNormArgs args = {random_tensor({3}, DType::f64, 5), random_tensor({3}, DType::f64, 6),
                              weight.value, bias.value};
  const auto op = [&](const Variable& v) {
    return batch_norm(v, args, {&weight, &bias, true}, false, DType::f64);
  };
  const Variable plain(x, true);
  backward({op(plain)}, {grad_y});
  const Variable redirected(x, true);
  const Tensor target = testing::pitched_tensor(x.shape(), DType::f64);
  target.fill(10.0);
  redirected.redirect_grad(target);
  backward({op(redirected)}, {grad_y});
  const Tensor wanted = plain.grad().clone();
  for (int64_t i = 0; i < wanted.numel(); ++i) wanted.data<double>()[i] += 10.0;
  expect_near(target, wanted, 1e-14);
}

TEST(Ops, BatchNormOverwritesWhatNobodyNeeds) {
  Owned weight({3}, DType::f32, 1);
  Owned bias({3}, DType::f32, 2);
  const BatchNormArgs args = {random_tensor({3}, DType::f32, 5), random_tensor({3}, DType::f32, 6),
                              weight.value, bias.value};
  const Norm norm{&weight, &bias, true};
  const Tensor x = random_tensor({2, 3, 4, 3}, DType::f32, 3);
  const Tensor wanted = batch_norm(Variable(x), args, norm, false, DType::f32).value();
  EXPECT_THROW((void)batch_norm(Variable(x), args, norm, false, DType::f32, true), Error);
  const NoGradGuard no_grad;
  const Tensor own = x.clone();
  const Tensor narrow = batch_norm(Variable(own), args, norm, false, DType::bf16, true).value();
  EXPECT_EQ(testing::values_of(own), testing::values_of(x));
  EXPECT_EQ(narrow.dtype(), DType::bf16);
  const Tensor y = batch_norm(Variable(own), args, norm, false, DType::f32, true).value();
  EXPECT_EQ(y.raw(), own.raw());
  EXPECT_EQ(testing::values_of(y), testing::values_of(wanted));
}

TEST(Ops, CastConvertsThereAndBack) {
  const Tensor x = random_tensor({2, 3, 4, 3}, DType::f32, 3);
  const Variable input(x, true);
  const Variable y = cast(input, DType::bf16);
  EXPECT_EQ(y.value().dtype(), DType::bf16);
  expect_near(y.value(), x, 4.0 / 256);
  const Tensor grad_y = random_tensor(x.shape(), DType::bf16, 4);
  backward({y}, {grad_y});
  EXPECT_EQ(input.grad().dtype(), DType::f32);
  EXPECT_EQ(values_of(input.grad()), values_of(grad_y));
  // The same dtype is the same variable.
  EXPECT_EQ(cast(input, DType::f32).state(), input.state());
}

TEST(Ops, Bf16SubnetsKeepFloatParameters) {
  if (!cpu_has_bf16()) GTEST_SKIP() << "SKIPPED: this processor has no bf16";
  Owned weight({5, 3, 3, 4}, DType::f32, 1);
  Owned bias({5}, DType::f32, 2);
  const Tensor x = random_tensor({2, 4, 4, 4}, DType::f32, 3);
  const auto run = [&](DType compute) {
    weight.grad.zero();
    const Variable input(x, true);
    const Variable y = conv2d(cast(input, compute), {&weight, &bias, {3, 1, 1}});
    backward({y}, {random_tensor(y.value().shape(), DType::f32, 4).to(compute)});
    return std::pair{input.grad().to(DType::f64), weight.grad.to(DType::f64)};
  };
  const auto wanted = run(DType::f32);
  const auto actual = run(DType::bf16);
  EXPECT_EQ(weight.grad.dtype(), DType::f32);
  expect_near(actual.first, wanted.first, testing::largest_magnitude(wanted.first) / 64);
  expect_near(actual.second, wanted.second, testing::largest_magnitude(wanted.second) / 64);
}

}  // namespace
}  // namespace pal
