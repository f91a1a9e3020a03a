#include "kernels/coupling/act_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/gradient_check.h"
#include "runtime/parallel.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::pitched_copy;
using testing::pitched_tensor;
using testing::random_tensor;
using testing::tensor_with;
using testing::value_at;
using testing::values_of;

const Shape kShapes[] = {{1, 1}, {3, 7}, {2, 3, 5, 17}, {4, 600}};

TEST(ActNormKernel, HandValues) {
  const Tensor x = tensor_with({2, 2}, DType::f32, {1, 2, 3, 4});
  const Tensor scale = tensor_with({2}, DType::f32, {2, -1});
  const Tensor offset = tensor_with({2}, DType::f32, {0.5, 10});
  const Tensor y = Tensor::empty({2, 2});
  cpu::act_norm_forward(x, scale, offset, y);
  EXPECT_EQ(values_of(y), (std::vector<double>{2.5, 8, 6.5, 6}));
  cpu::act_norm_inverse(y, scale, offset, y);
  EXPECT_EQ(values_of(y), values_of(x));
}

TEST(ActNormKernel, GradientsAgreeWithFiniteDifferences) {
  for (const Shape& shape : kShapes)
    for (const bool pitched : {false, true}) {
      Tensor x = random_tensor(shape, DType::f64, 1);
      if (pitched) x = pitched_copy(x);
      const Tensor scale = random_tensor({shape.last()}, DType::f64, 2);
      const Tensor offset = random_tensor({shape.last()}, DType::f64, 3);
      const Tensor grad_y = random_tensor(shape, DType::f64, 4);
      const Tensor y =
          pitched ? pitched_tensor(shape, DType::f64) : Tensor::empty(shape, DType::f64);
      const Tensor grad_x = Tensor::zeros(shape, DType::f64);
      const Tensor grad_scale = Tensor::zeros({shape.last()}, DType::f64);
      const Tensor grad_offset = Tensor::zeros({shape.last()}, DType::f64);
      const GradientReport report = check_gradients(
          [&] {
            cpu::act_norm_forward(x, scale, offset, y);
            return testing::inner(y, grad_y);
          },
          [&] { cpu::act_norm_backward(x, grad_y, scale, grad_x, grad_scale, grad_offset); },
          {{"x", x, grad_x}, {"scale", scale, grad_scale}, {"offset", offset, grad_offset}},
          {.most_entries = 100});
      EXPECT_LT(report.worst, 1e-7) << shape.str() << " " << report.text();
      // Without grad_x the sums are added once more.
      const auto once = values_of(grad_scale);
      cpu::act_norm_backward(x, grad_y, scale, {}, grad_scale, grad_offset);
      for (size_t i = 0; i < once.size(); ++i)
        EXPECT_NEAR(values_of(grad_scale)[i], 2 * once[i], 1e-12);
    }
}

constexpr ActNormKind kKinds[] = {ActNormKind::softplus, ActNormKind::paper, ActNormKind::sigmoid,
                                  ActNormKind::exponential};

TEST(ActNormKernel, ScalesByHand) {
  const double e = std::exp(1.0);
  // At gamma = 0 and 2: 0.2 log(1 + e^(gamma/2)), 0.1 log(1 + e^gamma), 10 sigmoid(gamma - 2), e^.
  const double wanted[][2] = {{0.2 * std::log(2.0), 0.2 * std::log(1 + e)},
                              {0.1 * std::log(2.0), 0.1 * std::log(1 + e * e)},
                              {10 / (1 + e * e), 5.0},
                              {1.0, e * e}};
  for (const DType dtype : {DType::f32, DType::f64})
    for (int kind = 0; kind < 4; ++kind) {
      const Tensor scale = Tensor::empty({2}, dtype);
      const Tensor sum = Tensor::empty({1}, DType::f64);
      cpu::act_norm_scale(tensor_with({2}, dtype, {0, 2}), kKinds[kind], scale, sum);
      const double tolerance = dtype == DType::f64 ? 1e-14 : 4e-7;
      expect_near(scale, tensor_with({2}, DType::f64, {wanted[kind][0], wanted[kind][1]}),
                  tolerance);
      EXPECT_NEAR(value_at(sum, 0), std::log(wanted[kind][0] * wanted[kind][1]), 1e-14);
    }
}

TEST(ActNormKernel, ScalesThatAreNotPositiveAreSeen) {
  // In float e^-200 is zero and e^100 infinite.
  for (const double gamma : {-200.0, 100.0, std::nan("")}) {
    const Tensor scale = Tensor::empty({2});
    const Tensor sum = Tensor::empty({1}, DType::f64);
    cpu::act_norm_scale(tensor_with({2}, DType::f32, {0, gamma}), ActNormKind::exponential, scale,
                        sum);
    EXPECT_FALSE(std::isfinite(value_at(sum, 0))) << gamma;
  }
}

TEST(ActNormKernel, ParameterGradientsAgreeWithFiniteDifferences) {
  constexpr int64_t kRows = 5;
  for (const ActNormKind kind : kKinds) {
    const Tensor gamma = random_tensor({7}, DType::f64, 1);
    const Tensor offset = random_tensor({7}, DType::f64, 2);
    const Tensor grad_scale = random_tensor({7}, DType::f64, 3);
    const Tensor grad_offset = random_tensor({7}, DType::f64, 4);
    const Tensor grad_log_det = random_tensor({3}, DType::f64, 5);
    const Tensor grad_gamma = Tensor::zeros({7}, DType::f64);
    const Tensor grad_of_offset = Tensor::zeros({7}, DType::f64);
    const Tensor scale = Tensor::empty({7}, DType::f64);
    const Tensor log_scale_sum = Tensor::empty({1}, DType::f64);
    const GradientReport report = check_gradients(
        [&] {
          cpu::act_norm_scale(gamma, kind, scale, log_scale_sum);
          double loss = testing::inner(scale, grad_scale) + testing::inner(offset, grad_offset);
          for (int64_t n = 0; n < 3; ++n)
            loss += value_at(grad_log_det, n) * kRows * value_at(log_scale_sum, 0);
          return loss;
        },
        [&] {
          cpu::act_norm_parameters_backward(gamma, kind, grad_scale, grad_offset, grad_log_det,
                                            kRows, grad_gamma, grad_of_offset);
        },
        {{"gamma", gamma, grad_gamma}, {"offset", offset, grad_of_offset}});
    EXPECT_LT(report.worst, 1e-7) << report.text();
    // They are added to.
    const auto once = values_of(grad_gamma);
    cpu::act_norm_parameters_backward(gamma, kind, grad_scale, grad_offset, grad_log_det, kRows,
                                      grad_gamma, grad_of_offset);
    for (size_t i = 0; i < once.size(); ++i) {
      EXPECT_EQ(values_of(grad_gamma)[i], 2 * once[i]);
      EXPECT_EQ(values_of(grad_of_offset)[i], 2 * values_of(grad_offset)[i]);
    }
  }
}

TEST(ActNormKernel, ThreadsDoNotChangeABit) {
  const Tensor x = random_tensor({50, 1500}, DType::f32, 1);
  const Tensor scale = random_tensor({1500}, DType::f32, 2);
  const auto run = [&](int threads) {
    set_thread_count(threads);
    const Tensor y = Tensor::empty(x.shape());
    const Tensor sums = Tensor::zeros({1500}, DType::f64);
    cpu::act_norm_forward(x, scale, scale, y);
    cpu::act_norm_backward(x, y, scale, {}, sums, sums);
    return std::pair{values_of(y), values_of(sums)};
  };
  const auto one = run(1);
  EXPECT_EQ(run(2), one);
  EXPECT_EQ(run(5), one);
  set_thread_count(2);
}

TEST(ActNormKernel, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({2, 3});
  const Tensor three = Tensor::zeros({3});
  expect_error(ErrorKind::usage, "at least one row, got [0, 3]", [&] {
    cpu::act_norm_forward(Tensor::zeros({0, 3}), three, three, Tensor::zeros({0, 3}));
  });
  expect_error(ErrorKind::usage, "expected scale of shape [3], got [2]",
               [&] { cpu::act_norm_forward(x, Tensor::zeros({2}), three, x); });
  expect_error(ErrorKind::usage, "expected y of shape [2, 3]", [&] {
    cpu::act_norm_forward(x, three, three, Tensor::zeros({2, 4}));
  });
  expect_error(ErrorKind::usage, "expected grad_scale in f64",
               [&] { cpu::act_norm_backward(x, x, three, {}, three, three); });
  const Tensor sums = Tensor::zeros({3}, DType::f64);
  expect_error(ErrorKind::usage, "expected grad_x of shape [2, 3], got [2, 4]", [&] {
    cpu::act_norm_backward(x, x, three, Tensor::zeros({2, 4}), sums, sums);
  });
  const auto kind = ActNormKind::paper;
  const Tensor sum = Tensor::zeros({1}, DType::f64);
  expect_error(ErrorKind::usage, "act_norm_scale: expected scale of shape [3], got [2]",
               [&] { cpu::act_norm_scale(three, kind, Tensor::zeros({2}), sum); });
  expect_error(ErrorKind::usage, "act_norm_scale: expected log_scale_sum of shape [1], got [3]",
               [&] { cpu::act_norm_scale(three, kind, three, sums); });
  expect_error(ErrorKind::usage, "act_norm_scale: expected f32 or f64, got bf16", [&] {
    const Tensor half = three.to(DType::bf16);
    cpu::act_norm_scale(half, kind, half, sum);
  });
  const auto parameters = [&](const Tensor& grad_scale, const Tensor& grad_log_det,
                              const Tensor& grad_gamma) {
    cpu::act_norm_parameters_backward(three, kind, grad_scale, sums, grad_log_det, 4, grad_gamma,
                                      three);
  };
  expect_error(ErrorKind::usage, "act_norm_parameters_backward: expected grad_scale in f64",
               [&] { parameters(three, sum, three); });
  expect_error(ErrorKind::usage, "expected grad_log_det in f64",
               [&] { parameters(sums, three, three); });
  expect_error(ErrorKind::usage, "expected grad_gamma of shape [3], got [2, 3]",
               [&] { parameters(sums, sum, x); });
}

}  // namespace
}  // namespace pal
