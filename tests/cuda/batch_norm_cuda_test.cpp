#include "kernels/norm/batch_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/cuda/batch_norm_case.h"

namespace pal::test::batch_norm {
namespace {

using testing::expect_error;
using testing::value_at;

void expect_statistics(const Tensor& x, const Tensor& on_device, const std::string& what) {
  const int64_t channels = x.channels();
  const Tensor mean = filled(channels, 9.0, Device());
  const Tensor variance = filled(channels, 9.0, Device());
  cpu::batch_statistics(x, mean, variance);
  const Tensor found_mean = filled(channels, 9.0, gpu());
  const Tensor found_variance = filled(channels, 9.0, gpu());
  cuda::batch_statistics(on_device, found_mean, found_variance);
  expect_close(mean, found_mean, 1e-6, what + ", mean");
  expect_close(variance, found_variance, 1e-5, what + ", variance");

  const BatchStatistics wanted = statistics_on(Device(), channels);
  cpu::batch_norm_statistics(x, wanted);
  const BatchStatistics found = statistics_on(gpu(), channels);
  cuda::batch_norm_statistics(on_device, found);
  expect_same(found_mean, found.mean, what + ", mean in training");
  expect_close(wanted.inv_std, found.inv_std, 1e-5, what + ", inv_std");
  expect_close(wanted.running_mean, found.running_mean, 1e-6, what + ", running mean");
  expect_close(wanted.running_var, found.running_var, 1e-5, what + ", running variance");
}

TEST(BatchNormCuda, Statistics) {
  for (const Shape& shape : kShapes)
    for (const DType dtype : {DType::f32, DType::bf16})
      for (const Around& around : kArounds) {
        const Tensor x = random_tensor(shape, dtype, 1);
        expect_statistics(x, place(x, around), text(shape, around, dtype, dtype));
      }
}

TEST(BatchNormCuda, AFarMeanDoesNotDrownTheVariance) {
  for (const int64_t channels : {3, 8}) {
    const Tensor x = random_tensor({40, 30, channels}, DType::f32, 1);
    for (int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] += 3000.0F;
    expect_statistics(x, on_gpu(x), "far mean");
    double squares = 0.0;
    double sum = 0.0;
    const auto rows = static_cast<double>(x.rows());
    for (int64_t row = 0; row < x.rows(); ++row) {
      sum += value_at(x, row * channels) / rows;
      squares += std::pow(value_at(x, row * channels) - 3000.0, 2) / rows;
    }
    const Tensor mean = filled(channels, 0.0, gpu());
    const Tensor variance = filled(channels, 0.0, gpu());
    cuda::batch_statistics(on_gpu(x), mean, variance);
    EXPECT_NEAR(value_at(on_cpu(variance), 0), squares - std::pow(sum - 3000.0, 2), 1e-5);
    // A constant channel has none.
    x.fill(0.1);
    cuda::batch_statistics(on_gpu(x), mean, variance);
    expect_same(Tensor::zeros({channels}), variance, "variance of a constant");
  }
}

TEST(BatchNormCuda, InverseDeviation) {
  const Tensor variance = random_tensor({517}, DType::f32, 1);
  for (int64_t i = 0; i < 517; ++i) variance.data<float>()[i] *= variance.data<float>()[i];
  set_value(variance, 3, 0.0);
  const Tensor wanted = Tensor::empty({517});
  cpu::inverse_deviation(variance, 1e-5, wanted);
  const Tensor found = filled(517, 0.0, gpu());
  cuda::inverse_deviation(on_gpu(variance), 1e-5, found);
  expect_close(wanted, found, 1e-6, "inverse deviation");
}

TEST(BatchNormCuda, Forward) {
  for (const Types& types : kTypes)
    for (const Shape& shape : kShapes) {
      const Case c(shape, types);
      for (const bool relu : {false, true}) {
        const Tensor wanted = Tensor::empty(shape, types.y);
        cpu::batch_norm_forward(c.x, c.args, relu, wanted);
        for (const Around& around : kArounds) {
          const Tensor found = target(shape, types.y, 77.0, {0, 0});
          cuda::batch_norm_forward(place(c.x, around), c.args_on_gpu(!relu), relu, found);
          expect_close(wanted, found, tolerance_of(types.y), text(shape, around, types.x, types.y));
          if (types.x != types.y) continue;
          const Tensor own = place(c.x, around);
          cuda::batch_norm_forward(own, c.args_on_gpu(!relu), relu, own);
          expect_close(wanted, own, tolerance_of(types.y), "in place");
        }
      }
    }
}

TEST(BatchNormCuda, NanPassesTheRelu) {
  for (const Types& types : kTypes) {
    const Case c({40, 8}, types);
    set_value(c.x, 33, std::numeric_limits<double>::quiet_NaN());
    const Tensor y = target(c.x.shape(), types.y, 77.0, {0, 0});
    cuda::batch_norm_forward(on_gpu(c.x), c.args_on_gpu(), true, y);
    const Tensor found = on_cpu(y);
    for (int64_t i = 0; i < found.numel(); ++i)
      EXPECT_EQ(std::isnan(value_at(found, i)), i == 33) << i;
  }
}

TEST(BatchNormCuda, RefusesWhatDoesNotFit) {
  const Case c({2, 3, 3, 7}, kTypes[0]);
  const Tensor x = on_gpu(c.x);
  const BatchNormArgs args = c.args_on_gpu();
  const auto zeros = [](const Shape& shape, DType dtype = DType::f32) {
    return Tensor::zeros(shape, dtype, Tag::data, gpu());
  };
  const Tensor empty = zeros({0, 3, 3, 7});
  const Tensor seven = zeros({7});
  expect_error(ErrorKind::usage, "batch_norm_forward: expected at least one row, got [0, 3, 3, 7]",
               [&] { cuda::batch_norm_forward(empty, args, true, empty); });
  expect_error(ErrorKind::usage, "batch_norm_backward: expected at least one row",
               [&] { cuda::batch_norm_backward(empty, empty, args, true, true, {}); });
  expect_error(ErrorKind::usage, "batch_statistics: expected rows",
               [&] { cuda::batch_statistics(empty, seven, seven); });
  expect_error(ErrorKind::usage, "batch_norm_statistics: expected rows",
               [&] { cuda::batch_norm_statistics(empty, statistics_on(gpu(), 7)); });
  expect_error(ErrorKind::usage, "7 channels",
               [&] { cuda::batch_norm_statistics(x, statistics_on(gpu(), 6)); });
  expect_error(ErrorKind::usage, "expected inv_std of shape [7], got [6]",
               [&] { cuda::inverse_deviation(seven, 1e-5, zeros({6})); });
  expect_error(ErrorKind::usage, "no kernel for x of bf16 and y of f32", [&] {
    cuda::batch_norm_forward(zeros(c.x.shape(), DType::bf16), args, true, zeros(c.x.shape()));
  });
  const Tensor wide = zeros(c.x.shape(), DType::f64);
  expect_error(ErrorKind::usage, "batch_norm_forward: f64 streams are for the CPU backend",
               [&] { cuda::batch_norm_forward(wide, args, true, wide); });
  expect_error(ErrorKind::usage, "batch_norm_backward: f64 streams are for the CPU backend",
               [&] { cuda::batch_norm_backward(wide, wide, args, true, true, {}); });
  expect_error(ErrorKind::usage, "batch_statistics: f64 streams are for the CPU backend",
               [&] { cuda::batch_statistics(wide, seven, seven); });
  BatchNormGrads grads;
  grads.x = wide;
  expect_error(ErrorKind::usage, "expected grad_x like x",
               [&] { cuda::batch_norm_backward(x, x, args, true, true, grads); });
}

}  // namespace
}  // namespace pal::test::batch_norm
