#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/pool/pool.h"
#include "tests/cuda/parity.h"

namespace pal::test {
namespace {

using testing::expect_error;
using testing::set_value;

const Shape kShapes[] = {{1, 1, 1, 1},  {1, 2, 2, 3},   {2, 7, 5, 6},   {3, 5, 4, 24},
                         {2, 11, 9, 8}, {1, 3, 3, 130}, {2, 3, 2, 257}, {1, 33, 31, 1}};

struct Around {
  int64_t begin;
  int64_t after;
};
constexpr Around kArounds[] = {{0, 0}, {1, 2}, {8, 8}};

Tensor place(const Tensor& values, const Around& around) {
  return around.begin + around.after > 0 ? gpu_slice(values, around.begin, around.after)
                                         : on_gpu(values);
}

/// A tensor on the GPU to write to.
Tensor target(const Shape& shape, DType dtype, const Around& around = {0, 0}) {
  const Tensor wide = Tensor::empty(shape.with_last(around.begin + shape.last() + around.after),
                                    dtype, Tag::data, gpu());
  wide.fill(77.0);
  return wide.slice_channels(around.begin, shape.last());
}

std::string text(const Shape& shape, DType dtype, const Around& around) {
  return shape.str() + " " + name_of(dtype) + " slice " + std::to_string(around.begin) + "+" +
         std::to_string(around.after);
}

TEST(PoolCuda, Average) {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const Shape& shape : kShapes) {
      const Shape means = {shape[0], shape[3]};
      const Tensor x = random_tensor(shape, dtype, 1);
      const Tensor grad_y = random_tensor(means, dtype, 2);
      const Tensor y = Tensor::empty(means, dtype);
      const Tensor grad_x = Tensor::empty(shape, dtype);
      cpu::average_pool_forward(x, y);
      cpu::average_pool_backward(grad_y, grad_x);
      for (const Around& around : kArounds) {
        const Tensor found = target(means, dtype, around);
        cuda::average_pool_forward(place(x, around), found);
        expect_close(y, found, tolerance_of(dtype), text(shape, dtype, around) + " forward");
        const Tensor found_x = target(shape, dtype, around);
        cuda::average_pool_backward(place(grad_y, around), found_x);
        expect_close(grad_x, found_x, 1e-6, text(shape, dtype, around) + " backward");
      }
    }
}

Shape pooled(const Shape& x, const PoolGeometry& g) {
  return {x[0], g.out_size(x[1]), g.out_size(x[2]), x[3]};
}

/// Neighbouring, overlapping and distant windows, at most 2 and more of a pixel along an axis.
constexpr PoolGeometry kGeometries[] = {{3, 2, 1}, {2, 2, 1}, {3, 1, 2}, {5, 2, 3},
                                        {2, 3, 1}, {1, 1, 0}, {3, 3, 1}};

void expect_max_pool(const Tensor& x, const PoolGeometry& g, const Around& around) {
  const Shape out = pooled(x.shape(), g);
  const std::string what = text(x.shape(), x.dtype(), around) + " kernel " +
                           std::to_string(g.kernel) + "/" + std::to_string(g.stride);
  const Tensor y = Tensor::empty(out, x.dtype());
  const Tensor taps = Tensor::empty(out, DType::u8);
  cpu::max_pool_forward(x, g, y, taps);
  const Tensor found = target(out, x.dtype(), around);
  const Tensor found_taps = target(out, DType::u8);
  cuda::max_pool_forward(place(x, around), g, found, found_taps);
  expect_close(y, found, 0.0, what + ", largest values");
  expect_same(taps, found_taps, what + ", taps");

  const Tensor grad_y = random_tensor(out, x.dtype(), 3);
  const Tensor grad_x = Tensor::empty(x.shape(), x.dtype());
  cpu::max_pool_backward(grad_y, taps, g, grad_x);
  const Tensor found_x = target(x.shape(), x.dtype(), around);
  cuda::max_pool_backward(place(grad_y, around), found_taps, g, found_x);
  expect_close(grad_x, found_x, tolerance_of(x.dtype()), what + ", gradient");
}

TEST(PoolCuda, Max) {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const Shape& shape : kShapes)
      for (const PoolGeometry& g : kGeometries)
        for (const Around& around : kArounds)
          expect_max_pool(random_tensor(shape, dtype, 1), g, around);
}

TEST(PoolCuda, EqualValuesNanAndInfinities) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const PoolGeometry& g : kGeometries)
      for (const int64_t channels : {3, 8}) {
        const Tensor x = random_tensor({2, 6, 7, channels}, dtype, 1);
        // Many equal values.
        for (int64_t i = 0; i < x.numel(); ++i)
          set_value(x, i, std::round(testing::value_at(x, i)));
        for (int64_t i = 0; i < x.numel(); i += 11) set_value(x, i, std::nan(""));
        for (int64_t i = 0; i < x.numel(); i += 7) set_value(x, i, -infinity);
        for (int64_t i = 0; i < x.numel(); i += 13) set_value(x, i, infinity);
        expect_max_pool(x, g, {0, 0});
        x.fill(-infinity);
        expect_max_pool(x, g, {0, 0});
      }
}

TEST(PoolCuda, SchedulesDoNotChangeABit) {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const Shape& shape : {Shape{2, 11, 9, 24}, Shape{3, 5, 7, 33}}) {
      const PoolGeometry g;
      const Tensor x = on_gpu(random_tensor(shape, dtype, 1));
      run_schedules([&] {
        const Tensor means = target({shape[0], shape[3]}, dtype);
        const Tensor spread = target(shape, dtype);
        cuda::average_pool_forward(x, means);
        cuda::average_pool_backward(means, spread);
        const Tensor y = target(pooled(shape, g), dtype);
        const Tensor taps = target(y.shape(), DType::u8);
        const Tensor grad_x = target(shape, dtype);
        cuda::max_pool_forward(x, g, y, taps);
        cuda::max_pool_backward(y, taps, g, grad_x);
        return std::vector<Tensor>{means, spread, y, taps, grad_x};
      });
    }
}

TEST(PoolCuda, RefusesWrongArguments) {
  const auto zeros = [](const Shape& shape, DType dtype = DType::f32) {
    return Tensor::zeros(shape, dtype, Tag::data, gpu());
  };
  expect_error(ErrorKind::usage, "average_pool_forward: expected a non-empty", [&] {
    cuda::average_pool_forward(zeros({0, 2, 2, 1}), zeros({0, 1}));
  });
  expect_error(ErrorKind::usage, "max_pool_forward: expected a non-empty", [&] {
    cuda::max_pool_forward(zeros({0, 4, 4, 1}), {}, zeros({0, 2, 2, 1}),
                           zeros({0, 2, 2, 1}, DType::u8));
  });
  const Tensor x = zeros({1, 4, 4, 1});
  const Tensor taps = zeros({1, 2, 2, 1}, DType::u8);
  expect_error(ErrorKind::usage, "expected pooled image of shape [1, 2, 2, 1]", [&] {
    cuda::max_pool_forward(x, {}, zeros({1, 3, 3, 1}), taps);
  });
  expect_error(ErrorKind::usage, "expected taps in u8", [&] {
    cuda::max_pool_backward(zeros({1, 2, 2, 1}), zeros({1, 2, 2, 1}), {}, x);
  });
  expect_error(ErrorKind::usage, "average_pool_backward: f64 streams are for the CPU backend", [&] {
    cuda::average_pool_backward(zeros({1, 1}, DType::f64), zeros({1, 4, 4, 1}, DType::f64));
  });
  expect_error(ErrorKind::usage, "max_pool_forward: f64 streams are for the CPU backend", [&] {
    cuda::max_pool_forward(zeros({1, 4, 4, 1}, DType::f64), {}, zeros({1, 2, 2, 1}, DType::f64),
                           taps);
  });
}

}  // namespace
}  // namespace pal::test
