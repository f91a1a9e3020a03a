#include "kernels/arrays/reduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "runtime/parallel.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::pitched_copy;
using testing::random_tensor;
using testing::value_at;

double squared_norm(const Tensor& x) {
  const Tensor sum = testing::constant_tensor({1}, 7.0);
  cpu::squared_norm(x, sum);
  return value_at(sum, 0);
}

TEST(Reduce, ChannelSumsAddUp) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16})
    for (const Shape& shape : {Shape{1, 1}, Shape{5, 3}, Shape{2, 9, 11, 17}, Shape{3000, 70}}) {
      const Tensor x = random_tensor(shape, dtype, 1);
      const Tensor sums = Tensor::empty({shape.last()}, DType::f64);
      sums.fill(2.0);
      const Tensor wanted = sums.clone();
      for (int64_t i = 0; i < x.numel(); ++i)
        wanted.data<double>()[i % shape.last()] += value_at(x, i);
      cpu::channel_sums(pitched_copy(x), sums);
      expect_near(sums, wanted, 1e-10, shape.str());
      const Tensor sums32 = Tensor::zeros({shape.last()}, DType::f32);
      cpu::channel_sums(x, sums32);
      for (int64_t c = 0; c < shape.last(); ++c)
        EXPECT_EQ(value_at(sums32, c), static_cast<float>(value_at(sums, c) - 2.0)) << c;
    }
}

TEST(Reduce, SquaredNormIsWide) {
  // 10^8 + many ones: a float sum would lose every one of them.
  const Tensor x = Tensor::empty({100001}, DType::f32);
  x.fill(1.0);
  x.data<float>()[0] = 1e4F;
  EXPECT_EQ(squared_norm(x), 1e8 + 1e5);
  const Tensor y = random_tensor({7, 13}, DType::f64, 2);
  EXPECT_NEAR(squared_norm(pitched_copy(y)), testing::inner(y, y), 1e-12);
  EXPECT_EQ(squared_norm(Tensor::empty({0}, DType::f32)), 0.0);
}

TEST(Reduce, SquaredDifference) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : {Shape{1}, Shape{7, 13}, Shape{3, 10007}}) {
      const Tensor a = random_tensor(shape, dtype, 6);
      const Tensor b = random_tensor(shape, dtype, 7);
      const Tensor sums = testing::constant_tensor({2}, 5.0);
      cpu::squared_difference(pitched_copy(a), b, sums);
      double difference = 0.0;
      for (int64_t i = 0; i < a.numel(); ++i)
        difference += std::pow(value_at(a, i) - value_at(b, i), 2);
      EXPECT_NEAR(value_at(sums, 0), difference, 1e-13 * difference);
      EXPECT_NEAR(value_at(sums, 1), testing::inner(a, a), 1e-13 * testing::inner(a, a));
      cpu::squared_difference(a, a, sums);
      EXPECT_EQ(value_at(sums, 0), 0.0);
    }
}

TEST(Reduce, HalfSquaredNormPerRow) {
  for (const Shape& shape : {Shape{1, 1}, Shape{3, 19}, Shape{5, 20001}}) {
    const Tensor z = random_tensor(shape, DType::f32, 3);
    const Tensor norms = Tensor::empty({shape[0]}, DType::f64);
    cpu::half_squared_norm(pitched_copy(z), norms);
    for (int64_t n = 0; n < shape[0]; ++n) {
      const Tensor row = z.slice_batch(n, 1);
      EXPECT_NEAR(value_at(norms, n), 0.5 * testing::inner(row, row), 1e-9);
    }
  }
}

TEST(Reduce, SumsDoNotDependOnThreads) {
  const Tensor x = random_tensor({5000, 37}, DType::f32, 4);
  const auto results = [&](int threads) {
    set_thread_count(threads);
    const Tensor sums = Tensor::zeros({37}, DType::f64);
    cpu::channel_sums(x, sums);
    auto values = testing::values_of(sums);
    values.push_back(squared_norm(x));
    return values;
  };
  const auto one = results(1);
  EXPECT_EQ(one, results(2));
  EXPECT_EQ(one, results(5));
  set_thread_count(2);
}

TEST(Reduce, AllFiniteFindsOneBrokenValue) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16})
    for (const double bad : {nan, infinity, -infinity})
      for (const int64_t place : {0, 5, 40000}) {
        const Tensor x = random_tensor({40001}, dtype, 5);
        EXPECT_TRUE(cpu::all_finite(x));
        testing::set_value(x, place, bad);
        EXPECT_FALSE(cpu::all_finite(x));
        EXPECT_FALSE(std::isfinite(squared_norm(x)));
      }
}

TEST(Reduce, RefusesWrongArguments) {
  expect_error(ErrorKind::usage, "channel_sums: expected sums of shape [3], got [2]", [] {
    cpu::channel_sums(Tensor::zeros({4, 3}), Tensor::zeros({2}));
  });
  expect_error(ErrorKind::usage, "expected a non-empty tensor", [] {
    cpu::channel_sums(Tensor::zeros({0, 3}), Tensor::zeros({3}));
  });
  expect_error(ErrorKind::usage, "half_squared_norm: expected norms in f64", [] {
    cpu::half_squared_norm(Tensor::zeros({4, 3}), Tensor::zeros({4}));
  });
  expect_error(ErrorKind::usage, "squared_norm: expected sum of shape [1], got [2]", [] {
    cpu::squared_norm(Tensor::zeros({4, 3}), Tensor::zeros({2}, DType::f64));
  });
  expect_error(ErrorKind::usage, "squared_difference: expected b of shape [4, 3], got [3, 4]", [] {
    cpu::squared_difference(Tensor::zeros({4, 3}), Tensor::zeros({3, 4}),
                            Tensor::zeros({2}, DType::f64));
  });
}

}  // namespace
}  // namespace pal
