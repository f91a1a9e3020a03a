#include "kernels/optimizer/tanh_adam.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/cuda/parity.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using test::gpu;
using test::on_gpu;
using testing::expect_error;
using testing::random_tensor;
using testing::set_value;

const Shape kShapes[] = {{1, 1}, {3, 7}, {5, 8}, {2, 4099}, {301, 19}};

AdamNumbers numbers_of_step(int t) {
  AdamNumbers numbers;
  numbers.correction1 = 1.0 - std::pow(numbers.beta1, t);
  numbers.correction2 = 1.0 - std::pow(numbers.beta2, t);
  return numbers;
}

/// What a step works on; every third sample has the rate 0.
struct State {
  explicit State(const Shape& shape)
      : v(random_tensor(shape, DType::f32, 1)),
        first(Tensor::zeros(shape, DType::f32)),
        second(Tensor::zeros(shape, DType::f32)),
        original(Tensor::empty(shape, DType::f32)),
        x(Tensor::empty(shape, DType::f32)),
        rates(Tensor::empty({shape[0]}, DType::f64)) {
    cpu::tanh_images(random_tensor(shape, DType::f32, 2), original);
    cpu::tanh_images(v, x);
    for (int64_t i = 0; i < shape[0]; ++i)
      set_value(rates, i, 0.02 * static_cast<double>((i + 1) % 3));
  }
  State on_device() const {
    State copy = *this;
    for (Tensor* t : {&copy.v, &copy.first, &copy.second, &copy.original, &copy.x, &copy.rates})
      *t = on_gpu(*t);
    return copy;
  }
  Tensor v, first, second, original, x, rates;
};

TEST(TanhAdamCuda, ImagesFollowTheCpu) {
  for (const Shape& shape : kShapes)
    for (const int64_t offset : {0, 1}) {
      const Tensor v = random_tensor(shape, DType::f32, 3, 30.0);
      const Tensor x = Tensor::empty(shape, DType::f32);
      if (shape.numel() > 16) {
        set_value(v, 4, std::numeric_limits<double>::quiet_NaN());
        set_value(v, 9, -std::numeric_limits<double>::infinity());
      }
      const Tensor buffer = Tensor::zeros({shape.numel() + offset}, DType::f32, Tag::data, gpu());
      const Tensor device_x = buffer.view_at(offset, shape);
      cpu::tanh_images(v, x);
      cuda::tanh_images(on_gpu(v), device_x);
      // The exponential functions of two libraries.
      test::expect_close(x, device_x, 1e-6, shape.str());
    }
}

TEST(TanhAdamCuda, StepsFollowTheCpu) {
  for (const Shape& shape : kShapes) {
    const State host(shape);
    const State device = host.on_device();
    for (int t = 1; t <= 5; ++t) {
      const Tensor grad = random_tensor(shape, DType::f32, static_cast<uint64_t>(10 + t));
      if (t == 5) set_value(grad, 0, std::numeric_limits<double>::quiet_NaN());
      cpu::tanh_adam_step(host.v, host.first, host.second, grad, host.original, host.rates,
                          numbers_of_step(t), host.x);
      cuda::tanh_adam_step(device.v, device.first, device.second, on_gpu(grad), device.original,
                           device.rates, numbers_of_step(t), device.x);
    }
    // Products and sums are rounded together or one by one.
    test::expect_close(host.v, device.v, 1e-5, "v " + shape.str());
    test::expect_close(host.first, device.first, 1e-5, "first moment " + shape.str());
    test::expect_close(host.second, device.second, 1e-5, "second moment " + shape.str());
    test::expect_close(host.x, device.x, 1e-5, "x " + shape.str());
  }
}

TEST(TanhAdamCuda, SamplesOfRateZeroKeepTheirBits) {
  const Shape shape{3, 37};
  const State host(shape);
  const State device = host.on_device();
  cuda::tanh_adam_step(device.v, device.first, device.second,
                       on_gpu(random_tensor(shape, DType::f32, 4)), device.original, device.rates,
                       numbers_of_step(1), device.x);
  const auto last = [&](const Tensor& t) { return t.view_at(2 * shape[1], {shape[1]}); };
  test::expect_same(last(host.v), last(device.v), "v");
  test::expect_same(last(host.first), last(device.first), "first moment");
  test::expect_same(last(host.second), last(device.second), "second moment");
  test::expect_same(last(host.x), last(device.x), "x");
}

TEST(TanhAdamCuda, SchedulesGiveTheSameBits) {
  const Shape shape{7, 601};
  const State host(shape);
  const Tensor grad = on_gpu(random_tensor(shape, DType::f32, 5));
  test::run_schedules([&] {
    const State device = host.on_device();
    cuda::tanh_images(device.v, device.x);
    cuda::tanh_adam_step(device.v, device.first, device.second, grad, device.original, device.rates,
                         numbers_of_step(1), device.x);
    return std::vector<Tensor>{device.v, device.first, device.second, device.x};
  });
}

TEST(TanhAdamCuda, RefusesWrongArguments) {
  const auto zeros = [](const Shape& shape, DType dtype = DType::f32) {
    return Tensor::zeros(shape, dtype, Tag::data, gpu());
  };
  const Tensor v = zeros({2, 3}), wide = zeros({2, 3}, DType::f64);
  const Tensor two = zeros({2}, DType::f64);
  expect_error(ErrorKind::usage, "tanh_images: expected x of shape [2, 3], got [3, 2]", [&] {
    cuda::tanh_images(v, zeros({3, 2}));
  });
  expect_error(ErrorKind::usage, "tanh_images: f64 streams are for the CPU backend",
               [&] { cuda::tanh_images(wide, wide); });
  expect_error(ErrorKind::usage, "tanh_adam_step: expected rates of shape [2], got [3]",
               [&] { cuda::tanh_adam_step(v, v, v, v, v, zeros({3}, DType::f64), {}, v); });
  expect_error(ErrorKind::usage, "tanh_adam_step: f64 streams are for the CPU backend",
               [&] { cuda::tanh_adam_step(wide, wide, wide, wide, wide, two, {}, wide); });
}

}  // namespace
}  // namespace pal
