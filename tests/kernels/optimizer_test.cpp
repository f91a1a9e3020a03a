#include "kernels/optimizer/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/optimizer/optimizer_math.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::random_tensor;
using testing::tensor_with;
using testing::value_at;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Learning rate, momentum, weight decay, gradient scale.
Tensor controls(double rate, double momentum, double decay, double grad_scale) {
  return tensor_with({kSgdControls}, DType::f64, {rate, momentum, decay, grad_scale});
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

TEST(Optimizer, ClipFactor) {
  using optimizer_math::clip_factor;
  EXPECT_EQ(clip_factor(1.0, 8.0), 1.0);
  EXPECT_DOUBLE_EQ(clip_factor(16.0, 8.0), 8.0 / 16.000001);
  EXPECT_EQ(clip_factor(0.0, 8.0), 1.0);
  EXPECT_TRUE(std::isnan(clip_factor(kInfinity, 8.0)));
  EXPECT_TRUE(std::isnan(clip_factor(kNaN, 8.0)));
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
    const Tensor g = random_tensor({9}, dtype, 5);
    const Tensor buffer = random_tensor({9}, dtype, 6);
    const Tensor p_before = p.clone();
    const Tensor buffer_before = buffer.clone();
    cpu::sgd_step(p, g, buffer, controls(0.1, 0.9, 0.01, kNaN));
    expect_near(p, p_before, 0.0);
    expect_near(buffer, buffer_before, 0.0);
  }
}

TEST(Optimizer, ClipScalesTheNetworkAlone) {
  const Tensor numbers = tensor_with({2, kSgdControls}, DType::f64, {1, 2, 3, 4, 5, 6, 7, 8});
  const Tensor halted = Tensor::zeros({1}, DType::f64);
  const auto scales = [&](double network, double means, double clip_norm) {
    cpu::sgd_clip(tensor_with({2}, DType::f64, {network, means}), clip_norm, numbers, halted);
    return std::pair(value_at(numbers, kGradScale), value_at(numbers, kSgdControls + kGradScale));
  };
  EXPECT_EQ(scales(256.0, 1e9, 8.0), std::pair(optimizer_math::clip_factor(16.0, 8.0), 1.0));
  EXPECT_EQ(scales(4.0, 1e9, 8.0), std::pair(1.0, 1.0));
  EXPECT_EQ(scales(256.0, 0.0, 0.0), std::pair(1.0, 1.0));
  EXPECT_EQ(value_at(halted, 0), 0.0);
  for (const int64_t i : {0, 1, 2, 4, 5, 6})
    EXPECT_EQ(value_at(numbers, i), static_cast<double>(i) + 1.0);
}

TEST(Optimizer, ClipHaltsForGood) {
  for (const double bad : {kNaN, kInfinity})
    for (const bool in_means : {false, true}) {
      const Tensor numbers = Tensor::zeros({2, kSgdControls}, DType::f64);
      const Tensor halted = Tensor::zeros({1}, DType::f64);
      const Tensor norms = tensor_with({2}, DType::f64, {in_means ? 1 : bad, in_means ? bad : 1});
      for (int step = 0; step < 2; ++step) {
        cpu::sgd_clip(norms, 8.0, numbers, halted);
        EXPECT_EQ(value_at(halted, 0), 1.0);
        EXPECT_TRUE(std::isnan(value_at(numbers, kGradScale)));
        EXPECT_TRUE(std::isnan(value_at(numbers, kSgdControls + kGradScale)));
        // What follows is finite again, and changes nothing.
        numbers.fill(1.0);
        norms.fill(1.0);
      }
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
  expect_error(ErrorKind::usage, "sgd_step: expected controls of shape [4], got [2]",
               [&] { cpu::sgd_step(p, p.clone(), p.clone(), Tensor::zeros({2}, DType::f64)); });
  const Tensor two = Tensor::zeros({2}, DType::f64);
  const Tensor both = Tensor::zeros({2, kSgdControls}, DType::f64);
  const Tensor halted = Tensor::zeros({1}, DType::f64);
  expect_error(ErrorKind::usage, "sgd_clip: expected squared norms of shape [2], got [1]",
               [&] { cpu::sgd_clip(halted, 8.0, both, halted); });
  expect_error(ErrorKind::usage, "sgd_clip: expected controls of shape [2, 4], got [4]",
               [&] { cpu::sgd_clip(two, 8.0, step, halted); });
  expect_error(ErrorKind::usage, "sgd_clip: expected a norm to clip to of at least 0, got -1",
               [&] { cpu::sgd_clip(two, -1.0, both, halted); });
}

}  // namespace
}  // namespace pal
