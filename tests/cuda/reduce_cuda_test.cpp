#include "kernels/arrays/reduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/cuda/parity.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using test::gpu;
using test::gpu_slice;
using test::on_cpu;
using test::on_gpu;
using testing::expect_error;
using testing::random_tensor;
using testing::value_at;

// Sums in double in another order.
constexpr double kTolerance = 1e-13;
constexpr double kBroken[] = {std::numeric_limits<double>::quiet_NaN(),
                              std::numeric_limits<double>::infinity(),
                              -std::numeric_limits<double>::infinity()};

Tensor on_gpu_filled(const Shape& shape, double value, DType dtype = DType::f64) {
  const Tensor tensor = Tensor::empty(shape, dtype, Tag::data, gpu());
  tensor.fill(value);
  return tensor;
}

Tensor squared_norm(const Tensor& x) {
  const Tensor sum = on_gpu_filled({1}, 7.0);
  cuda::squared_norm(x, sum);
  return sum;
}

TEST(ReduceCuda, ChannelSumsAddUp) {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const Shape& shape : {Shape{1, 1}, Shape{5, 3}, Shape{2, 9, 11, 17}, Shape{600, 301},
                               Shape{40, 2080}, Shape{9001, 4}, Shape{9001, 1}, Shape{3000, 24}})
      for (const int64_t begin : {0, 1, 8}) {
        const Tensor x = random_tensor(shape, dtype, 1);
        const Tensor device_x = begin == 0 ? on_gpu(x) : gpu_slice(x, begin, begin);
        for (const DType result : {DType::f32, DType::f64}) {
          const Tensor sums = random_tensor({shape.last()}, result, 2);
          const Tensor device_sums = on_gpu(sums);
          cpu::channel_sums(x, sums);
          cuda::channel_sums(device_x, device_sums);
          test::expect_close(sums, device_sums, result == DType::f32 ? 1e-7 : kTolerance,
                             shape.str() + " from channel " + std::to_string(begin));
        }
      }
}

TEST(ReduceCuda, SquaredNormIsWide) {
  // 10^8 + many ones: a float sum would lose every one of them.
  const Tensor x = Tensor::empty({100001}, DType::f32);
  x.fill(1.0);
  x.data<float>()[0] = 1e4F;
  EXPECT_EQ(squared_norm(on_gpu(x)).item(), 1e8 + 1e5);
  x.fill(1e30);
  EXPECT_NEAR(squared_norm(on_gpu(x)).item() / (100001 * 1e60), 1.0, 1e-6);
  EXPECT_EQ(squared_norm(on_gpu_filled({0}, 0.0, DType::f32)).item(), 0.0);
  // More elements than a first turn of all partial sums.
  constexpr int64_t kMany = 2048 * 4096 + 4099;
  EXPECT_EQ(squared_norm(on_gpu_filled({kMany}, 0.5, DType::f32)).item(), 0.25 * kMany);
}

TEST(ReduceCuda, SquaredNormOfAnyShape) {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const Shape& shape : {Shape{1}, Shape{7, 13}, Shape{4097}, Shape{3, 5, 1009}}) {
      const Tensor x = random_tensor(shape, dtype, 3);
      const Tensor wanted = Tensor::empty({1}, DType::f64);
      cpu::squared_norm(x, wanted);
      const Tensor sum = squared_norm(on_gpu(x));
      test::expect_close(wanted, sum, kTolerance, shape.str());
      test::expect_same(sum, squared_norm(gpu_slice(x, 3, 2)), "slice of " + shape.str());
    }
}

TEST(ReduceCuda, SquaredNormDoesNotDependOnAlignment) {
  constexpr int64_t kCount = 9001;
  const Tensor x = random_tensor({kCount}, DType::f32, 4);
  const Tensor aligned = squared_norm(on_gpu(x));
  for (const int64_t offset : {1, 2, 3, 4}) {
    const Tensor buffer = on_gpu_filled({kCount + 8}, 1.0, DType::f32);
    buffer.view_at(offset, {kCount}).copy_from(x);
    test::expect_same(aligned, squared_norm(buffer.view_at(offset, {kCount})),
                      std::to_string(offset));
  }
}

TEST(ReduceCuda, SquaredDifferenceFollowsTheCpu) {
  for (const Shape& shape : {Shape{1}, Shape{7, 13}, Shape{3, 5, 1009}})
    for (const int64_t begin : {0, 1}) {
      const Tensor a = random_tensor(shape, DType::f32, 5);
      const Tensor b = random_tensor(shape, DType::f32, 6);
      const Tensor wanted = Tensor::empty({2}, DType::f64);
      cpu::squared_difference(a, b, wanted);
      const Tensor sums = on_gpu_filled({2}, 7.0);
      cuda::squared_difference(gpu_slice(a, begin, begin), on_gpu(b), sums);
      test::expect_close(wanted, sums, kTolerance, shape.str());
      cuda::squared_difference(on_gpu(a), on_gpu(a), sums);
      EXPECT_EQ(sums.item(0), 0.0);
    }
}

TEST(ReduceCuda, HalfSquaredNormPerRow) {
  for (const Shape& shape : {Shape{1, 1}, Shape{3, 19}, Shape{1, 9000}, Shape{5, 20001}})
    for (const int64_t begin : {0, 1, 4}) {
      const Tensor z = random_tensor(shape, DType::f32, 7);
      const Tensor wanted = Tensor::empty({shape[0]}, DType::f64);
      cpu::half_squared_norm(z, wanted);
      const Tensor norms = on_gpu_filled({shape[0]}, 7.0);
      cuda::half_squared_norm(gpu_slice(z, begin, begin), norms);
      test::expect_close(wanted, norms, kTolerance, shape.str());
    }
}

TEST(ReduceCuda, BrokenValuesShow) {
  constexpr int64_t kCount = 9001;
  const Tensor norms = on_gpu_filled({3}, 7.0);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensor x = random_tensor({3, kCount}, dtype, 8);
    EXPECT_TRUE(cuda::all_finite(on_gpu(x)));
    EXPECT_TRUE(cuda::all_finite(gpu_slice(x, 1, 3)));
    for (const double bad : kBroken)
      for (const int64_t place : {int64_t{0}, kCount + 5, 3 * kCount - 1}) {
        const Tensor broken = x.clone();
        testing::set_value(broken, place, bad);
        EXPECT_FALSE(cuda::all_finite(on_gpu(broken)));
        EXPECT_FALSE(cuda::all_finite(gpu_slice(broken, 1, 3)));
        EXPECT_FALSE(std::isfinite(squared_norm(on_gpu(broken)).item()));
        cuda::half_squared_norm(on_gpu(broken), norms);
        for (int64_t row = 0; row < 3; ++row)
          EXPECT_EQ(std::isfinite(norms.item(row)), row != place / kCount);
      }
  }
  const Tensor wide = random_tensor({17}, DType::f64, 9);
  EXPECT_TRUE(cuda::all_finite(on_gpu(wide)));
  wide.data<double>()[16] = kBroken[0];
  EXPECT_FALSE(cuda::all_finite(on_gpu(wide)));
  EXPECT_TRUE(cuda::all_finite(on_gpu_filled({0}, 0.0)));
}

TEST(ReduceCuda, SchedulesGiveTheSameBits) {
  const Tensor x = on_gpu(random_tensor({90, 301}, DType::f32, 10));
  const Tensor other = on_gpu(random_tensor({90, 301}, DType::f32, 11));
  test::run_schedules([&] {
    const Tensor sums = on_gpu_filled({301}, 1.0);
    const Tensor norms = on_gpu_filled({90}, 7.0);
    const Tensor differences = on_gpu_filled({2}, 7.0);
    cuda::channel_sums(x, sums);
    cuda::half_squared_norm(x, norms);
    cuda::squared_difference(x, other, differences);
    return std::vector<Tensor>{sums, norms, differences, squared_norm(x)};
  });
}

TEST(ReduceCuda, RefusesWrongArguments) {
  const auto zeros = [](const Shape& shape, DType dtype = DType::f32) {
    return on_gpu_filled(shape, 0.0, dtype);
  };
  expect_error(ErrorKind::usage, "channel_sums: expected sums of shape [3], got [2]", [&] {
    cuda::channel_sums(zeros({4, 3}), zeros({2}));
  });
  expect_error(ErrorKind::usage, "expected a non-empty tensor", [&] {
    cuda::channel_sums(zeros({0, 3}), zeros({3}));
  });
  expect_error(ErrorKind::usage, "channel_sums: expected f32 or f64, got bf16", [&] {
    cuda::channel_sums(zeros({4, 3}), zeros({3}, DType::bf16));
  });
  expect_error(ErrorKind::usage, "half_squared_norm: expected norms in f64", [&] {
    cuda::half_squared_norm(zeros({4, 3}), zeros({4}));
  });
  expect_error(ErrorKind::usage, "squared_norm: f64 streams are for the CPU backend",
               [&] { squared_norm(zeros({4}, DType::f64)); });
  expect_error(ErrorKind::usage, "squared_difference: f64 streams are for the CPU backend", [&] {
    cuda::squared_difference(zeros({4}, DType::f64), zeros({4}, DType::f64),
                             zeros({2}, DType::f64));
  });
  expect_error(ErrorKind::usage, "all_finite: expected f32 or f64, got i32",
               [&] { cuda::all_finite(zeros({4}, DType::i32)); });
}

}  // namespace
}  // namespace pal
