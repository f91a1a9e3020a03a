#include "kernels/pool/pool.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::inner;
using testing::pitched_copy;
using testing::pitched_tensor;
using testing::random_tensor;
using testing::tensor_with;
using testing::value_at;

Shape pooled(const Shape& x, const PoolGeometry& g) {
  return {x[0], g.out_size(x[1]), g.out_size(x[2]), x[3]};
}

TEST(Pool, AverageIsTheMean) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16})
    for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{3, 5, 7, 19}}) {
      const Tensor x = random_tensor(shape, dtype, 1);
      const Tensor y = pitched_tensor({shape[0], shape[3]}, dtype);
      cpu::average_pool_forward(pitched_copy(x), y);
      const int64_t pixels = shape[1] * shape[2];
      for (int64_t n = 0; n < shape[0]; ++n)
        for (int64_t c = 0; c < shape[3]; ++c) {
          double mean = 0.0;
          for (int64_t i = 0; i < pixels; ++i)
            mean += value_at(x, (n * pixels + i) * shape[3] + c) / static_cast<double>(pixels);
          EXPECT_NEAR(value_at(y, n * shape[3] + c), mean, dtype == DType::bf16 ? 1e-2 : 1e-6);
        }
    }
}

TEST(Pool, AverageBackwardMatchesDifferences) {
  const Tensor x = random_tensor({2, 3, 2, 3}, DType::f64, 2);
  const Tensor y = Tensor::empty({2, 3}, DType::f64);
  const Tensor grad_y = random_tensor({2, 3}, DType::f64, 3);
  const Tensor grad_x = pitched_tensor(x.shape(), DType::f64);
  cpu::average_pool_backward(grad_y, grad_x);
  expect_near(grad_x,
              testing::numeric_gradient(x,
                                        [&] {
                                          cpu::average_pool_forward(x, y);
                                          return inner(y, grad_y);
                                        }),
              1e-9);
}

TEST(Pool, MaxFollowsTheDefinition) {
  for (const PoolGeometry& g : {PoolGeometry{}, PoolGeometry{2, 2, 0}, PoolGeometry{3, 1, 2}})
    for (const DType dtype : {DType::f32, DType::f64, DType::bf16})
      for (const Shape& shape : {Shape{1, 2, 2, 1}, Shape{2, 7, 6, 17}}) {
        const Tensor x = random_tensor(shape, dtype, 4);
        const Shape out = pooled(shape, g);
        const Tensor y = pitched_tensor(out, dtype);
        const Tensor taps = Tensor::empty(out, DType::u8);
        cpu::max_pool_forward(pitched_copy(x), g, y, taps);
        for (int64_t i = 0; i < out.numel(); ++i) {
          const int64_t c = i % out[3];
          const int64_t ox = i / out[3] % out[2];
          const int64_t oy = i / (out[3] * out[2]) % out[1];
          const int64_t n = i / (out[3] * out[2] * out[1]);
          double best = -1e9;
          int64_t place = -1;
          for (int64_t tap = 0; tap < g.kernel * g.kernel; ++tap) {
            const int64_t h = oy * g.stride - g.padding + tap / g.kernel;
            const int64_t w = ox * g.stride - g.padding + tap % g.kernel;
            if (h < 0 || h >= shape[1] || w < 0 || w >= shape[2]) continue;
            const double value = value_at(x, ((n * shape[1] + h) * shape[2] + w) * shape[3] + c);
            if (value > best) best = value, place = tap;
          }
          ASSERT_EQ(value_at(y, i), best);
          ASSERT_EQ(value_at(taps, i), static_cast<double>(place));
        }
      }
}

TEST(Pool, MaxBackwardMatchesDifferences) {
  for (const PoolGeometry& g : {PoolGeometry{}, PoolGeometry{2, 2, 0}, PoolGeometry{3, 1, 1}}) {
    const Tensor x = random_tensor({2, 5, 6, 3}, DType::f64, 5);
    const Tensor y = Tensor::empty(pooled(x.shape(), g), DType::f64);
    const Tensor taps = Tensor::empty(y.shape(), DType::u8);
    const Tensor grad_y = random_tensor(y.shape(), DType::f64, 6);
    const Tensor grad_x = pitched_tensor(x.shape(), DType::f64);
    cpu::max_pool_forward(x, g, y, taps);
    cpu::max_pool_backward(grad_y, taps, g, grad_x);
    const Tensor again = Tensor::empty(y.shape(), DType::u8);
    expect_near(grad_x,
                testing::numeric_gradient(x,
                                          [&] {
                                            cpu::max_pool_forward(x, g, y, again);
                                            return inner(y, grad_y);
                                          }),
                1e-8);
  }
}

TEST(Pool, MaxKeepsNaNAndInfinities) {
  const double infinity = std::numeric_limits<double>::infinity();
  const Tensor x = tensor_with({1, 2, 2, 2}, DType::f32,
                               {1, -infinity, std::nan(""), -infinity, 3, -infinity, 2, -infinity});
  const Tensor y = Tensor::empty({1, 1, 1, 2});
  const Tensor taps = Tensor::empty({1, 1, 1, 2}, DType::u8);
  cpu::max_pool_forward(x, {2, 2, 0}, y, taps);
  EXPECT_TRUE(std::isnan(value_at(y, 0)));
  EXPECT_EQ(value_at(taps, 0), 1.0);
  EXPECT_EQ(value_at(y, 1), -infinity);
  EXPECT_EQ(value_at(taps, 1), 0.0);
}

TEST(Pool, RefusesWrongArguments) {
  expect_error(ErrorKind::usage, "average_pool_forward: expected a non-empty", [] {
    cpu::average_pool_forward(Tensor::empty({0, 2, 2, 1}), Tensor::empty({0, 1}));
  });
  const Tensor x = Tensor::zeros({1, 4, 4, 1});
  expect_error(ErrorKind::usage, "expected pooled image of shape [1, 2, 2, 1]", [&] {
    cpu::max_pool_forward(x, {}, Tensor::zeros({1, 3, 3, 1}), Tensor::zeros({1, 3, 3, 1}));
  });
  expect_error(ErrorKind::usage, "does not fit", [&] {
    cpu::max_pool_forward(x, {3, 2, 3}, x, x);
  });
  expect_error(ErrorKind::usage, "expected taps in u8", [&] {
    cpu::max_pool_forward(x, {}, Tensor::zeros({1, 2, 2, 1}), Tensor::zeros({1, 2, 2, 1}));
  });
}

}  // namespace
}  // namespace pal
