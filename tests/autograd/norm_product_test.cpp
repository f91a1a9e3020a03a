// norm_product on the tape: the same function and gradients as norm_conv, and true gradients.
#include "autograd/norm_product.h"

#include <gtest/gtest.h>

#include "autograd/gradient_check.h"
#include "kernels/library/cuda_settings.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::random_tensor;
using testing::values_of;

const Shape kInput{2, 3, 4, 5};
constexpr int64_t kOut = 3;

void give(Parameter& p, const Shape& shape, uint64_t key) {
  p.shape = shape;
  p.value = random_tensor(shape, DType::f64, key, 0.5);
  p.grad = Tensor::zeros(shape, DType::f64);
}

/// Batch norm with ReLU and a 1x1 convolution with bias, in double.
struct Net {
  Net() {
    give(norm_weight, {kInput.last()}, 12);
    give(norm_bias, {kInput.last()}, 13);
    give(weight, {kOut, 1, 1, kInput.last()}, 14);
    give(bias, {kOut}, 15);
  }
  std::vector<Parameter*> parameters() { return {&norm_weight, &norm_bias, &weight, &bias}; }
  Norm norm() { return {&norm_weight, &norm_bias, true}; }
  Conv conv() { return {&weight, &bias, {1, 1, 0}}; }

  NormRun run(const Tensor& x, bool training) const {
    NormRun run;
    run.args = {Tensor::zeros({x.channels()}, DType::f64),
                Tensor::empty({x.channels()}, DType::f64), norm_weight.value, norm_bias.value};
    run.args.inv_std.fill(1.3);
    run.batch_statistics_used = training;
    if (training) cpu::batch_norm_statistics(x, statistics_of(run.args));
    return run;
  }
  static BatchStatistics statistics_of(const BatchNormArgs& args) {
    return {.mean = args.mean,
            .inv_std = args.inv_std,
            .running_mean = Tensor::zeros(args.mean.shape(), DType::f64),
            .running_var = Tensor::zeros(args.mean.shape(), DType::f64)};
  }

  Parameter norm_weight, norm_bias, weight, bias;
};

template <typename Op>
std::vector<double> gradients_of(Net& net, const Tensor& x, const Op& op) {
  for (Parameter* p : net.parameters()) p->grad.zero();
  const Variable input(x, true);
  const Variable y = op(input);
  backward_from(y, random_tensor(y.value().shape(), DType::f64, 21));
  std::vector<double> all = values_of(y.value());
  const auto add = [&](const Tensor& t) {
    const auto values = values_of(t);
    all.insert(all.end(), values.begin(), values.end());
  };
  add(input.grad());
  for (Parameter* p : net.parameters()) add(p->grad);
  return all;
}

TEST(NormProduct, IsNormConvInOneOp) {
  for (const bool training : {false, true}) {
    Net net;
    const Tensor x = random_tensor(kInput, DType::f64, 3);
    const NormRun run = net.run(x, training);
    const auto plain = gradients_of(net, x, [&](const Variable& v) {
      return norm_conv(v, net.norm(), run, net.conv(), DType::f64);
    });
    const auto fused = gradients_of(net, x, [&](const Variable& v) {
      return norm_product(v, net.norm(), run, net.conv(), DType::f64);
    });
    EXPECT_LT(testing::relative_difference(fused, plain), 1e-12);
  }
}

TEST(NormProduct, GradientsAgreeWithFiniteDifferences) {
  Net net;
  const Tensor x = random_tensor(kInput, DType::f64, 3);
  const Tensor grad_x = Tensor::zeros(kInput, DType::f64);
  const auto op = [&](const Variable& v) {
    return norm_product(v, net.norm(), net.run(v.value(), true), net.conv(), DType::f64);
  };
  const Tensor weights = random_tensor(kInput.with_last(kOut), DType::f64, 22);
  const auto loss = [&] {
    const NoGradGuard no_grad;
    return testing::inner(op(Variable(x)).value(), weights);
  };
  const auto run = [&] {
    for (Parameter* p : net.parameters()) p->grad.zero();
    const Variable input(x, true);
    backward_from(op(input), weights);
    grad_x.copy_from(input.grad());
  };
  std::vector<CheckedTensor> checked = {{"x", x, grad_x}};
  for (Parameter* p : net.parameters()) checked.push_back({"parameter", p->value, p->grad});
  const GradientReport report = check_gradients(loss, run, checked);
  EXPECT_LT(report.worst, 1e-6) << report.text();
}

TEST(NormProduct, MeasuresItsResult) {
  Net net;
  const Tensor x = random_tensor(kInput, DType::f64, 3);
  const auto statistics = [] {
    BatchNormArgs args;
    args.mean = Tensor::zeros({kOut}, DType::f64);
    args.inv_std = Tensor::zeros({kOut}, DType::f64);
    return Net::statistics_of(args);
  };
  const BatchStatistics found = statistics(), wanted = statistics();
  const Variable y =
      norm_product(Variable(x), net.norm(), net.run(x, true), net.conv(), DType::f64, found);
  cpu::batch_norm_statistics(y.value(), wanted);
  const auto all = [](const BatchStatistics& s) {
    std::vector<double> values;
    for (const Tensor& t : {s.mean, s.inv_std, s.running_mean, s.running_var})
      for (const double value : values_of(t)) values.push_back(value);
    return values;
  };
  EXPECT_LT(testing::relative_difference(all(found), all(wanted)), 1e-12);
}

TEST(NormProduct, IsForGpusAndPointwiseConvolutionsAlone) {
  Net net;
  cuda_math().fused_products = true;
  EXPECT_FALSE(fuses_norm_product(Tensor::zeros(kInput), net.conv(), DType::bf16));
  cuda_math().fused_products = false;
  Conv strided = net.conv();
  strided.geometry.stride = 2;
  const Tensor x = random_tensor(kInput, DType::f64, 3);
  expect_error(ErrorKind::usage, "norm_product: expected a 1x1 convolution", [&] {
    (void)norm_product(Variable(x), net.norm(), net.run(x, false), strided, DType::f64);
  });
}

}  // namespace
}  // namespace pal
