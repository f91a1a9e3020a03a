#include "kernels/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/optimizer_math.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::random_tensor;
using testing::tensor_with;
using testing::value_at;

TEST(Optimizer, HandValuesOverTwoSteps) {
  const Tensor p = tensor_with({2}, DType::f64, {1, -2});
  const Tensor g = tensor_with({2}, DType::f64, {0.5, 1});
  const Tensor buffer = Tensor::zeros({2}, DType::f64);
  const SgdStep step{0.1, 0.9, 0.01, 0.5};
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
    const SgdStep step{0.07, 0.9, 1e-4, 0.3};
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
  EXPECT_TRUE(std::isnan(clip_factor(std::numeric_limits<double>::infinity(), 8.0)));
  EXPECT_TRUE(std::isnan(clip_factor(std::numeric_limits<double>::quiet_NaN(), 8.0)));
}

TEST(Optimizer, BrokenGradientsShow) {
  const Tensor p = Tensor::zeros({3}, DType::f32);
  const Tensor g = tensor_with({3}, DType::f32, {1, std::nan(""), 1});
  cpu::sgd_step(p, g, Tensor::zeros({3}, DType::f32), {0.1, 0.9, 0.0, 1.0});
  EXPECT_TRUE(std::isnan(value_at(p, 1)));
  EXPECT_FALSE(std::isnan(value_at(p, 0)));
}

TEST(Optimizer, RefusesWrongArguments) {
  const Tensor p = Tensor::zeros({4});
  expect_error(ErrorKind::usage, "sgd_step: expected gradient of shape [4], got [3]",
               [&] { cpu::sgd_step(p, Tensor::zeros({3}), p.clone(), {}); });
  expect_error(ErrorKind::usage, "sgd_step: expected buffer in f32, got f64",
               [&] { cpu::sgd_step(p, p.clone(), Tensor::zeros({4}, DType::f64), {}); });
  const Tensor wide = Tensor::zeros({3, 5});
  expect_error(ErrorKind::usage, "sgd_step: expected dense parameters", [&] {
    cpu::sgd_step(wide.slice_channels(0, 2), Tensor::zeros({3, 2}), Tensor::zeros({3, 2}), {});
  });
}

}  // namespace
}  // namespace pal
