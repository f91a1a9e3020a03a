#include "kernels/optimizer/optimizer.h"

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
  return tensor_with({kSgdControls}, DType::f64, {rate, momentum, decay, grad_scale});
}

/// Parts of flat buffers, as the optimizer sees those of a model.
struct Group {
  Group(int64_t count, int64_t first)
      : values(random_tensor({count + 8}, DType::f32, 1)),
        grad(random_tensor({count + 8}, DType::f32, 2)),
        buffer(random_tensor({count + 8}, DType::f32, 3)),
        size(count),
        offset(first) {}

  Group on_device() const {
    Group group = *this;
    for (Tensor* t : {&group.values, &group.grad, &group.buffer}) *t = on_gpu(*t);
    return group;
  }
  Tensor part(const Tensor& whole) const { return whole.view_at(offset, {size}); }

  Tensor values, grad, buffer;
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
  cuda::sgd_step(device.part(device.values), device.part(device.grad), device.part(device.buffer),
                 on_gpu(controls(0.1, 0.9, 0.01, kNaN)));
  test::expect_same(host.values, device.values, "values");
  test::expect_same(host.buffer, device.buffer, "buffer");
}

TEST(OptimizerCuda, ClipFollowsTheCpuAndStaysHalted) {
  const Tensor numbers = tensor_with({2, kSgdControls}, DType::f64, {1, 2, 3, 4, 5, 6, 7, 8});
  const Tensor halted = Tensor::zeros({1}, DType::f64);
  const Tensor device_numbers = on_gpu(numbers);
  const Tensor device_halted = on_gpu(halted);
  const auto clip = [&](double network, double means, double clip_norm) {
    const Tensor norms = tensor_with({2}, DType::f64, {network, means});
    cpu::sgd_clip(norms, clip_norm, numbers, halted);
    cuda::sgd_clip(on_gpu(norms), clip_norm, device_numbers, device_halted);
    test::expect_close(numbers, device_numbers, 1e-15, "controls");
    test::expect_same(halted, device_halted, "halted");
    return device_halted.item() != 0.0;
  };
  EXPECT_FALSE(clip(256.0, 1e9, 8.0));
  EXPECT_FALSE(clip(4.0, 1e9, 8.0));
  EXPECT_FALSE(clip(0.0, 0.0, 8.0));
  EXPECT_FALSE(clip(256.0, 1e9, 0.0));
  for (const bool in_means : {false, true})
    for (const double bad : {kNaN, kInfinity}) {
      EXPECT_TRUE(clip(in_means ? 1.0 : bad, in_means ? bad : 1.0, 8.0));
      EXPECT_TRUE(clip(1.0, 1.0, 8.0));
      EXPECT_TRUE(std::isnan(device_numbers.item(kGradScale)));
      EXPECT_TRUE(std::isnan(device_numbers.item(kSgdControls + kGradScale)));
      halted.zero();
      device_halted.zero();
    }
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
  const Tensor numbers = zeros({kSgdControls}, DType::f64);
  expect_error(ErrorKind::usage, "sgd_step: expected gradient of shape [4], got [3]",
               [&] { cuda::sgd_step(zeros({4}), zeros({3}), zeros({4}), numbers); });
  expect_error(ErrorKind::usage, "sgd_step: expected dense parameters", [&] {
    cuda::sgd_step(zeros({3, 5}).slice_channels(0, 2), zeros({3, 2}), zeros({3, 2}), numbers);
  });
  const Tensor wide = zeros({4}, DType::f64);
  expect_error(ErrorKind::usage, "sgd_step: f64 streams are for the CPU backend",
               [&] { cuda::sgd_step(wide, wide, wide, numbers); });
  expect_error(ErrorKind::usage, "sgd_clip: expected controls of shape [2, 4], got [4]", [&] {
    cuda::sgd_clip(zeros({2}, DType::f64), 8.0, numbers, zeros({1}, DType::f64));
  });
  EXPECT_NO_THROW(cuda::sgd_step(zeros({0}), zeros({0}), zeros({0}), numbers));
}

}  // namespace
}  // namespace pal
