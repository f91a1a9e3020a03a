#include "kernels/optimizer/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::random_tensor;
using testing::tensor_with;
using testing::value_at;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Learning rate, momentum, weight decay, gradient scale.
Tensor controls(double rate, double momentum, double decay, double grad_scale) {
  return tensor_with({kUpdateControls}, DType::f64,
                     {rate, momentum, 0.999, 1e-8, decay, grad_scale, 1.0, 1.0});
}

/// Those of AdamW's update `t`, counted from 1.
Tensor adam_controls(double rate, double beta1, double beta2, double epsilon, double decay,
                     double grad_scale, int t) {
  return tensor_with({kUpdateControls}, DType::f64,
                     {rate, beta1, beta2, epsilon, decay, grad_scale, 1.0 - std::pow(beta1, t),
                      1.0 - std::pow(beta2, t)});
}

TEST(Optimizer, HandValuesOverTwoSteps) {
  const Tensor p = tensor_with({2}, DType::f64, {1, -2});
  const Tensor g = tensor_with({2}, DType::f64, {0.5, 1});
  const Tensor buffer = Tensor::zeros({2}, DType::f64);
  const Tensor step = controls(0.1, 0.9, 0.01, 0.5);
  cpu::sgd_step(p, g, buffer, step);
  expect_near(buffer, tensor_with({2}, DType::f64, {0.26, 0.48}), 1e-15);
  expect_near(p, tensor_with({2}, DType::f64, {0.974, -2.048}), 1e-15);
  cpu::sgd_step(p, g, buffer, step);
  expect_near(buffer, tensor_with({2}, DType::f64, {0.49374, 0.91152}), 1e-14);
  expect_near(p, tensor_with({2}, DType::f64, {0.924626, -2.139152}), 1e-14);
}

TEST(Optimizer, FloatFollowsDoubleOverManySizes) {
  for (const int64_t size : {1, 7, 64, 40001}) {
    const Tensor p = random_tensor({size}, DType::f64, 1);
    const Tensor g = random_tensor({size}, DType::f64, 2);
    const Tensor b = random_tensor({size}, DType::f64, 3);
    const Tensor p32 = p.to(DType::f32);
    const Tensor b32 = b.to(DType::f32);
    const Tensor step = controls(0.07, 0.9, 1e-4, 0.3);
    cpu::sgd_step(p, g, b, step);
    cpu::sgd_step(p32, g.to(DType::f32), b32, step);
    expect_near(p32, p, 2e-6);
    expect_near(b32, b, 2e-6);
  }
}

/// Twenty steps of PyTorch 2.15's AdamW in double from p_i = i / 2 - 1 with gradients
/// (i + 1) / 10 sin(0.7 i + 0.3 t), t = 1 to 20.
struct AdamCase {
  double rate, beta1, beta2, epsilon, decay;
  std::vector<double> parameters, first, second;
};

std::vector<AdamCase> adam_cases() {
  return {{0.01,
           0.9,
           0.999,
           1e-8,
           0.01,
           {-1.09442734793861, -0.559530971526071, -0.0190513293848965, 0.52889393189181,
            1.08175268758861, 1.57609569816859},
           {-0.0290076287525599, -0.0382074771391739, -0.000645184899564074, 0.0750990485989199,
            0.144672609649395, 0.152915543592176},
           {0.000103734938979371, 0.000398429239165894, 0.000851075388129686, 0.00155163430687422,
            0.00257102138776437, 0.00368715311527564}},
          {0.003,
           0.8,
           0.95,
           1e-5,
           0.0,
           {-1.0196416699194, -0.508603978702535, 0.000240810628050654, 0.50832014143368,
            1.0176686496614, 1.51380099886396},
           {-0.0520611368373135, -0.0432096664195806, 0.057037683183385, 0.202752203142148,
            0.292620791014331, 0.233012637313142},
           {0.0033444108476316, 0.0118145024922468, 0.0268596485639589, 0.0541704595311143,
            0.0872818002611547, 0.112533370691081}}};
}

TEST(Optimizer, AdamWFollowsPyTorch) {
  for (const AdamCase& c : adam_cases())
    for (const DType dtype : {DType::f64, DType::f32}) {
      const Tensor p = tensor_with({6}, dtype, {-1, -0.5, 0, 0.5, 1, 1.5});
      const Tensor first = Tensor::zeros({6}, dtype);
      const Tensor second = Tensor::zeros({6}, dtype);
      for (int t = 1; t <= 20; ++t) {
        std::vector<double> g;
        // Twice the gradient, with a scale of a half.
        for (int i = 0; i < 6; ++i) g.push_back(0.2 * (i + 1) * std::sin(0.7 * i + 0.3 * t));
        cpu::adamw_step(p, tensor_with({6}, dtype, g), first, second,
                        adam_controls(c.rate, c.beta1, c.beta2, c.epsilon, c.decay, 0.5, t));
      }
      const double tolerance = dtype == DType::f64 ? 1e-13 : 1e-6;
      expect_near(p, tensor_with({6}, dtype, c.parameters), tolerance);
      expect_near(first, tensor_with({6}, dtype, c.first), tolerance);
      expect_near(second, tensor_with({6}, dtype, c.second), tolerance);
    }
}

TEST(Optimizer, AverageMovesByItsRate) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor average = tensor_with({3}, dtype, {1, 2, 3});
    const Tensor values = tensor_with({3}, dtype, {3, 2, -1});
    cpu::average_step(average, values, tensor_with({1}, DType::f64, {0.25}));
    expect_near(average, tensor_with({3}, dtype, {1.5, 2, 2}), 0.0);
    cpu::average_step(average, values, tensor_with({1}, DType::f64, {kNaN}));
    expect_near(average, tensor_with({3}, dtype, {1.5, 2, 2}), 0.0);
  }
}

TEST(Optimizer, BrokenGradientsShow) {
  const Tensor p = Tensor::zeros({3}, DType::f32);
  const Tensor g = tensor_with({3}, DType::f32, {1, kNaN, 1});
  cpu::sgd_step(p, g, Tensor::zeros({3}, DType::f32), controls(0.1, 0.9, 0.0, 1.0));
  EXPECT_TRUE(std::isnan(value_at(p, 1)));
  EXPECT_FALSE(std::isnan(value_at(p, 0)));
}

TEST(Optimizer, AScaleOfNaNStopsTheStep) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor p = random_tensor({9}, dtype, 4);
    const Tensor moments[] = {random_tensor({9}, dtype, 5), random_tensor({9}, dtype, 6)};
    const Tensor g = random_tensor({9}, dtype, 7);
    const Tensor before[] = {p.clone(), moments[0].clone(), moments[1].clone()};
    cpu::sgd_step(p, g, moments[0], controls(0.1, 0.9, 0.01, kNaN));
    cpu::adamw_step(p, g, moments[0], moments[1],
                    adam_controls(0.1, 0.9, 0.999, 1e-8, 0.01, kNaN, 3));
    expect_near(p, before[0], 0.0);
    expect_near(moments[0], before[1], 0.0);
    expect_near(moments[1], before[2], 0.0);
  }
}

TEST(Optimizer, RefusesWrongArguments) {
  const Tensor step = controls(0.1, 0.9, 0.0, 1.0);
  const Tensor p = Tensor::zeros({4});
  expect_error(ErrorKind::usage, "sgd_step: expected gradient of shape [4], got [3]",
               [&] { cpu::sgd_step(p, Tensor::zeros({3}), p.clone(), step); });
  expect_error(ErrorKind::usage, "sgd_step: expected buffer in f32, got f64",
               [&] { cpu::sgd_step(p, p.clone(), Tensor::zeros({4}, DType::f64), step); });
  const Tensor wide = Tensor::zeros({3, 5});
  expect_error(ErrorKind::usage, "sgd_step: expected dense parameters", [&] {
    cpu::sgd_step(wide.slice_channels(0, 2), Tensor::zeros({3, 2}), Tensor::zeros({3, 2}), step);
  });
  expect_error(ErrorKind::usage, "sgd_step: expected controls of shape [8], got [2]",
               [&] { cpu::sgd_step(p, p.clone(), p.clone(), Tensor::zeros({2}, DType::f64)); });
  expect_error(ErrorKind::usage, "adamw_step: expected second moment of shape [4], got [5]",
               [&] { cpu::adamw_step(p, p.clone(), p.clone(), Tensor::zeros({5}), step); });
  expect_error(ErrorKind::usage, "average_step: expected rate of shape [1], got [8]",
               [&] { cpu::average_step(p, p.clone(), step); });
}

}  // namespace
}  // namespace pal
