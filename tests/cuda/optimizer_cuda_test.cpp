#include "kernels/optimizer/step_guard.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/cuda/parity.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using test::gpu;
using test::on_cpu;
using test::on_gpu;
using testing::expect_error;
using testing::random_tensor;
using testing::tensor_with;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Learning rate, momentum, weight decay, gradient scale.
Tensor controls(double rate, double momentum, double decay, double grad_scale) {
  return tensor_with({kUpdateControls}, DType::f64,
                     {rate, momentum, 0.99, 1e-6, decay, grad_scale, 0.19, 0.0199});
}

/// Parts of flat buffers, as the optimizer sees those of a model.
struct Group {
  Group(int64_t count, int64_t first)
      : values(random_tensor({count + 8}, DType::f32, 1)),
        grad(random_tensor({count + 8}, DType::f32, 2)),
        buffer(random_tensor({count + 8}, DType::f32, 3)),
        second(positive({count + 8})),
        size(count),
        offset(first) {}

  Group on_device() const {
    Group group = *this;
    for (Tensor* t : {&group.values, &group.grad, &group.buffer, &group.second}) *t = on_gpu(*t);
    return group;
  }
  Tensor part(const Tensor& whole) const { return whole.view_at(offset, {size}); }

  /// Squares, as a second moment is made of.
  static Tensor positive(const Shape& shape) {
    Tensor random = random_tensor(shape, DType::f32, 4);
    for (int64_t i = 0; i < random.numel(); ++i) random.data<float>()[i] *= random.data<float>()[i];
    return random;
  }

  Tensor values, grad, buffer, second;
  int64_t size, offset;
};

TEST(OptimizerCuda, StepFollowsTheCpu) {
  const Tensor numbers = controls(0.07, 0.9, 1e-3, 0.3);
  for (const int64_t size : {1, 7, 64, 5003})
    for (const int64_t offset : {0, 1, 3}) {
      const Group host(size, offset);
      const Group device = host.on_device();
      for (int step = 0; step < 2; ++step) {
        cpu::sgd_step(host.part(host.values), host.part(host.grad), host.part(host.buffer),
                      numbers);
        cuda::sgd_step(device.part(device.values), device.part(device.grad),
                       device.part(device.buffer), on_gpu(numbers));
      }
      const std::string what = std::to_string(size) + " from " + std::to_string(offset);
      // The whole buffers: what lies beside the part is as it was.
      test::expect_close(host.values, device.values, 1e-6, "values, " + what);
      test::expect_close(host.buffer, device.buffer, 1e-6, "buffer, " + what);
      test::expect_same(host.grad, device.grad, "gradient, " + what);
    }
}

TEST(OptimizerCuda, AdamWFollowsTheCpu) {
  const Tensor numbers = controls(0.01, 0.9, 1e-2, 0.3);
  for (const int64_t size : {1, 7, 64, 5003})
    for (const int64_t offset : {0, 1, 3}) {
      const Group host(size, offset);
      const Group device = host.on_device();
      for (int step = 0; step < 2; ++step) {
        cpu::adamw_step(host.part(host.values), host.part(host.grad), host.part(host.buffer),
                        host.part(host.second), numbers);
        cuda::adamw_step(device.part(device.values), device.part(device.grad),
                         device.part(device.buffer), device.part(device.second), on_gpu(numbers));
      }
      const std::string what = std::to_string(size) + " from " + std::to_string(offset);
      test::expect_close(host.values, device.values, 1e-6, "values, " + what);
      test::expect_close(host.buffer, device.buffer, 1e-6, "first moment, " + what);
      test::expect_close(host.second, device.second, 1e-6, "second moment, " + what);
      test::expect_same(host.grad, device.grad, "gradient, " + what);
    }
}

TEST(OptimizerCuda, AverageFollowsTheCpu) {
  for (const int64_t size : {1, 7, 5003}) {
    const Group host(size, 1);
    const Group device = host.on_device();
    for (const double rate : {0.125, kNaN}) {
      const Tensor numbers = tensor_with({1}, DType::f64, {rate});
      cpu::average_step(host.part(host.buffer), host.part(host.values), numbers);
      cuda::average_step(device.part(device.buffer), device.part(device.values), on_gpu(numbers));
      test::expect_close(host.buffer, device.buffer, 1e-6, "average");
    }
  }
}

TEST(OptimizerCuda, PartsMayBeAlignedInDifferentWays) {
  const Tensor numbers = controls(0.07, 0.9, 1e-3, 0.3);
  const Group host(103, 1);
  const Group device = host.on_device();
  cpu::sgd_step(host.part(host.values), host.grad.view_at(2, {103}), host.part(host.buffer),
                numbers);
  cuda::sgd_step(device.part(device.values), device.grad.view_at(2, {103}),
                 device.part(device.buffer), on_gpu(numbers));
  test::expect_close(host.values, device.values, 1e-6, "values");
  test::expect_close(host.buffer, device.buffer, 1e-6, "buffer");
}

TEST(OptimizerCuda, BrokenGradientsShow) {
  const Group host(9, 0);
  host.grad.data<float>()[4] = static_cast<float>(kNaN);
  const Group device = host.on_device();
  const Tensor numbers = controls(0.1, 0.9, 0.0, 1.0);
  cpu::sgd_step(host.values, host.grad, host.buffer, numbers);
  cuda::sgd_step(device.values, device.grad, device.buffer, on_gpu(numbers));
  test::expect_close(host.values, device.values, 1e-6, "values");
  EXPECT_TRUE(std::isnan(on_cpu(device.values).data<float>()[4]));
}

TEST(OptimizerCuda, AScaleOfNaNStopsTheStep) {
  const Group host(5003, 1);
  const Group device = host.on_device();
  const Tensor numbers = on_gpu(controls(0.1, 0.9, 0.01, kNaN));
  cuda::sgd_step(device.part(device.values), device.part(device.grad), device.part(device.buffer),
                 numbers);
  cuda::adamw_step(device.part(device.values), device.part(device.grad), device.part(device.buffer),
                   device.part(device.second), numbers);
  test::expect_same(host.values, device.values, "values");
  test::expect_same(host.buffer, device.buffer, "buffer");
  test::expect_same(host.second, device.second, "second moment");
}

TEST(OptimizerCuda, GuardFollowsTheCpu) {
  const Tensor limits = tensor_with({kGuardLimits}, DType::f64, {8, 4, 2, 0.99});
  const Tensor numbers = tensor_with({2, kUpdateControls}, DType::f64,
                                     {1, 0.9, 0.999, 4, 5, 6, 7, 8, 1, 0.9, 0.999, 4, 5, 6, 7, 8});
  const Tensor guard = Tensor::zeros({kGuardValues}, DType::f64);
  const Tensor device_numbers = on_gpu(numbers);
  const Tensor device_guard = on_gpu(guard);
  const Tensor kept = random_tensor({103}, DType::f32, 5);
  const auto judge = [&](double norm, double means = 1.0) {
    const Tensor loss = tensor_with({1}, DType::f64, {1.0});
    const Tensor norms = tensor_with({kNormParts}, DType::f64, {norm * norm, means, 1.0});
    cpu::judge_step(loss, norms, limits, numbers, guard);
    cuda::judge_step(on_gpu(loss), on_gpu(norms), on_gpu(limits), device_numbers, device_guard);
    const Tensor values = random_tensor({103}, DType::f32, 6);
    const Tensor device_values = on_gpu(values);
    cpu::restore_unless_taken(values, kept, guard);
    cuda::restore_unless_taken(device_values, on_gpu(kept), device_guard);
    test::expect_same(values, device_values, "restored");
    // NaN differs from itself, so what says "skipped" is compared as a flag.
    const double scale = device_numbers.item(kGradScale);
    EXPECT_EQ(std::isnan(scale), std::isnan(testing::value_at(numbers, kGradScale)));
    for (int i = 0; i < kAverageRate; ++i)
      EXPECT_DOUBLE_EQ(device_guard.item(i), testing::value_at(guard, i)) << i;
    return static_cast<StepVerdict>(static_cast<int>(device_guard.item(kVerdict)));
  };
  for (int i = 0; i < 40; ++i) EXPECT_EQ(judge(4.0 + i % 7, 1e9), StepVerdict::taken) << i;
  EXPECT_EQ(judge(100.0), StepVerdict::outlier);
  EXPECT_EQ(judge(5.0), StepVerdict::taken);
  EXPECT_EQ(judge(kNaN), StepVerdict::not_finite);
  EXPECT_EQ(judge(1.0, kInfinity), StepVerdict::not_finite);
  EXPECT_EQ(judge(kInfinity), StepVerdict::halted);
  EXPECT_EQ(judge(5.0), StepVerdict::halted);
}

TEST(OptimizerCuda, SchedulesGiveTheSameBits) {
  const Group host(6001, 1);
  const Tensor numbers = on_gpu(controls(0.07, 0.9, 1e-3, 0.3));
  test::run_schedules([&] {
    const Group device = host.on_device();
    cuda::sgd_step(device.part(device.values), device.part(device.grad), device.part(device.buffer),
                   numbers);
    return std::vector<Tensor>{device.values, device.buffer};
  });
}

TEST(OptimizerCuda, RefusesWrongArguments) {
  const auto zeros = [](const Shape& shape, DType dtype = DType::f32) {
    return Tensor::zeros(shape, dtype, Tag::data, gpu());
  };
  const Tensor numbers = zeros({kUpdateControls}, DType::f64);
  expect_error(ErrorKind::usage, "sgd_step: expected gradient of shape [4], got [3]",
               [&] { cuda::sgd_step(zeros({4}), zeros({3}), zeros({4}), numbers); });
  expect_error(ErrorKind::usage, "sgd_step: expected dense parameters", [&] {
    cuda::sgd_step(zeros({3, 5}).slice_channels(0, 2), zeros({3, 2}), zeros({3, 2}), numbers);
  });
  const Tensor wide = zeros({4}, DType::f64);
  expect_error(ErrorKind::usage, "sgd_step: f64 streams are for the CPU backend",
               [&] { cuda::sgd_step(wide, wide, wide, numbers); });
  expect_error(ErrorKind::usage, "adamw_step: f64 streams are for the CPU backend",
               [&] { cuda::adamw_step(wide, wide, wide, wide, numbers); });
  expect_error(ErrorKind::usage, "judge_step: expected controls of shape [2, 8], got [8]", [&] {
    cuda::judge_step(zeros({1}, DType::f64), zeros({kNormParts}, DType::f64),
                     zeros({kGuardLimits}, DType::f64), numbers, zeros({kGuardValues}, DType::f64));
  });
  EXPECT_NO_THROW(cuda::sgd_step(zeros({0}), zeros({0}), zeros({0}), numbers));
}

}  // namespace
}  // namespace pal
