// Ops that make normalised values and a stem's result anew: the same function and gradients as the
// plain ops, and true gradients.
#include "autograd/norm_conv.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/gradient_check.h"
#include "kernels/library/platform.h"
#include "runtime/allocator.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::random_tensor;

constexpr int64_t kIn = 3;
constexpr int64_t kInner = 5;
constexpr int64_t kOut = 4;
const Shape kInput{5, 7, 6, kIn};

/// A parameter with memory of its own.
void give(Parameter& p, const Shape& shape, DType dtype, uint64_t key) {
  p.shape = shape;
  p.value = random_tensor(shape, DType::f64, key, 0.5).to(dtype);
  p.grad = Tensor::zeros(shape, dtype);
}

/// stem 3x3, batch norm with ReLU, conv 3x3 of stride 2 with bias; all parameters in `dtype`.
struct Net {
  explicit Net(DType type) : dtype(type) {
    give(stem_weight, {kInner, 3, 3, kIn}, dtype, 11);
    give(norm_weight, {kInner}, dtype, 12);
    give(norm_bias, {kInner}, dtype, 13);
    give(conv_weight, {kOut, 3, 3, kInner}, dtype, 14);
    give(conv_bias, {kOut}, dtype, 15);
    running_mean = Tensor::zeros({kInner}, dtype);
    running_var = Tensor::zeros({kInner}, dtype);
  }
  std::vector<Parameter*> parameters() {
    return {&stem_weight, &norm_weight, &norm_bias, &conv_weight, &conv_bias};
  }
  Conv stem() { return {&stem_weight, nullptr, {3, 1, 1}}; }
  Norm norm() { return {&norm_weight, &norm_bias, true}; }
  Conv conv() { return {&conv_weight, &conv_bias, {3, 2, 1}}; }

  /// Statistics are measured by the batch (training) or constants.
  NormRun run(bool training) {
    NormRun run;
    run.args.weight = norm_weight.value;
    run.args.bias = norm_bias.value;
    run.args.mean = Tensor::empty({kInner}, dtype);
    run.args.inv_std = Tensor::empty({kInner}, dtype);
    run.batch_statistics_used = training;
    if (training) {
      run.measure.mean = run.args.mean;
      run.measure.inv_std = run.args.inv_std;
      run.measure.running_mean = running_mean;
      run.measure.running_var = running_var;
    } else {
      run.args.mean.fill(0.2);
      run.args.inv_std.fill(1.3);
    }
    return run;
  }

  /// The plain ops.
  Variable plain(const Variable& x, bool training, DType compute) {
    const Variable z = conv2d(cast(x, compute), stem());
    const NormRun norm_run = measured(z, training);
    return conv2d(batch_norm(z, norm_run.args, norm(), training, compute), conv());
  }
  Variable remade(const Variable& x, bool training, DType compute) {
    const Variable z = conv2d(cast(x, compute), stem());
    return norm_conv(z, norm(), measured(z, training), conv(), compute);
  }
  Variable by_parts(const Variable& x, bool training, DType compute, const StemMemory& memory) {
    return stem_norm_conv(x, stem(), norm(), run(training), conv(), memory, compute);
  }

  DType dtype;
  Parameter stem_weight, norm_weight, norm_bias, conv_weight, conv_bias;
  Tensor running_mean, running_var;

 private:
  NormRun measured(const Variable& z, bool training) {
    NormRun norm_run = run(training);
    if (training) cpu::batch_norm_statistics(z.value(), norm_run.measure);
    return norm_run;
  }
};

struct Outcome {
  std::vector<double> y;
  std::vector<double> gradients;  ///< of x, then of the parameters
};

template <typename Op>
Outcome outcome_of(Net& net, const Tensor& x, DType compute, const Op& op) {
  for (Parameter* p : net.parameters()) p->grad.zero();
  const Variable input(x, true);
  const Variable y = op(input);
  Outcome outcome;
  outcome.y = testing::values_of(y.value());
  backward_from(y, random_tensor(y.value().shape(), DType::f64, 21).to(compute));
  outcome.gradients = testing::values_of(input.grad());
  for (Parameter* p : net.parameters()) {
    const auto values = testing::values_of(p->grad);
    outcome.gradients.insert(outcome.gradients.end(), values.begin(), values.end());
  }
  return outcome;
}

const StemMemory kMemories[] = {{false, 0}, {true, 0}, {false, 1}, {true, 1},
                                {false, 2}, {true, 2}, {true, 4}};

TEST(NormConv, IsTheSameFunctionAsThePlainOps) {
  struct Types {
    DType x, compute;
    double tolerance;
  };
  for (const Types& t : {Types{DType::f64, DType::f64, 1e-12}, Types{DType::f32, DType::f32, 1e-5},
                         Types{DType::f32, DType::bf16, 3e-2}}) {
    if (t.compute == DType::bf16 && !cpu_has_bf16()) continue;
    for (const bool training : {false, true}) {
      Net net(t.x == DType::f64 ? DType::f64 : DType::f32);
      const Tensor x = random_tensor(kInput, DType::f64, 3).to(t.x);
      const Outcome plain = outcome_of(
          net, x, t.compute, [&](const Variable& v) { return net.plain(v, training, t.compute); });
      const auto running = testing::values_of(net.running_var);
      const auto expect_same = [&](const Outcome& other, const std::string& what) {
        EXPECT_LT(testing::relative_difference(other.y, plain.y), t.tolerance) << what;
        EXPECT_LT(testing::relative_difference(other.gradients, plain.gradients), t.tolerance)
            << what;
      };
      expect_same(outcome_of(net, x, t.compute,
                             [&](const Variable& v) { return net.remade(v, training, t.compute); }),
                  "norm_conv");
      for (const StemMemory& memory : kMemories) {
        net.running_var.zero();
        net.running_mean.zero();
        expect_same(outcome_of(net, x, t.compute,
                               [&](const Variable& v) {
                                 return net.by_parts(v, training, t.compute, memory);
                               }),
                    "parts of " + std::to_string(memory.images));
        EXPECT_LT(testing::relative_difference(testing::values_of(net.running_var), running),
                  t.tolerance + (training ? 0.0 : 1.0));
      }
    }
  }
}

TEST(NormConv, GradientsAgreeWithFiniteDifferences) {
  for (const bool training : {false, true})
    for (const StemMemory& memory : kMemories) {
      Net net(DType::f64);
      const Tensor x = random_tensor(kInput, DType::f64, 3);
      const Tensor grad_x = Tensor::zeros(kInput, DType::f64);
      const auto op = [&](const Variable& v) {
        return net.by_parts(v, training, DType::f64, memory);
      };
      const Tensor weights = random_tensor(op(Variable(x)).value().shape(), DType::f64, 22);
      const auto loss = [&] {
        const NoGradGuard no_grad;
        const auto y = testing::values_of(op(Variable(x)).value());
        const auto w = testing::values_of(weights);
        double sum = 0.0;
        for (size_t i = 0; i < y.size(); ++i) sum += y[i] * w[i];
        return sum;
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
}

TEST(NormConv, AStemTakesNoMoreThanItsParts) {
  Net net(DType::f32);
  const Tensor x = random_tensor({8, 32, 32, kIn}, DType::f64, 3).to(DType::f32);
  const auto peak = [&](const auto& op) {
    Allocator::cpu().reset_peaks();
    const int64_t before = Allocator::cpu().stats().peak_total;
    outcome_of(net, x, DType::f32, op);
    return Allocator::cpu().stats().peak_total - before;
  };
  const auto by = [&](const StemMemory& memory) {
    return peak([&](const Variable& v) { return net.by_parts(v, true, DType::f32, memory); });
  };
  const int64_t plain = peak([&](const Variable& v) { return net.plain(v, true, DType::f32); });
  const int64_t inner = 8 * 32 * 32 * kInner * 4;
  EXPECT_LT(by({false, 1}), plain - inner);
  EXPECT_LT(by({true, 1}), by({false, 1}) - inner / 2);
}

TEST(NormConv, TakesAsManyImagesAsTheCacheHolds) {
  EXPECT_EQ(stem_images(8, 13 << 20, Device()), 1);
  EXPECT_EQ(stem_images(8, 6 << 20, Device()), 2);
  EXPECT_EQ(stem_images(10, 5 << 20, Device()), 3);  // 3, 3, 3, 1 rather than 3 of 3 and a rest
  EXPECT_EQ(stem_images(4, 1 << 30, Device()), 1);
  EXPECT_EQ(stem_images(100, 1 << 10, Device()), 100);
  EXPECT_EQ(stem_images(8, 13 << 20, Device::cuda()), 8);
}

TEST(NormConv, RefusesWhatDoesNotFit) {
  Net net(DType::f32);
  const auto run = [&](const Shape& shape, Parameter* bias) {
    Conv stem = net.stem();
    stem.bias = bias;
    (void)stem_norm_conv(Variable(Tensor::zeros(shape)), stem, net.norm(), net.run(false),
                         net.conv(), {}, DType::f32);
  };
  expect_error(ErrorKind::usage, "without bias", [&] { run(kInput, &net.norm_bias); });
  expect_error(ErrorKind::usage, "expected [n, h, w, 3]", [&] { run({0, 4, 4, kIn}, nullptr); });
  expect_error(ErrorKind::usage, "expected [n, h, w, 3]", [&] { run({1, 4, 4, 2}, nullptr); });
}

}  // namespace
}  // namespace pal
