#include "kernels/resample/dct.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::inner;
using testing::pitched_copy;
using testing::pitched_tensor;
using testing::random_tensor;
using testing::value_at;

constexpr DctMap kReference{DctMap::Flavour::reference, 0.5};
constexpr DctMap kOrthonormal{DctMap::Flavour::orthonormal, 0.5};

Shape flat(const Shape& x) { return {x[0], x[1] * x[2] * x[3]}; }

/// The definition: y[(kw N + kh) C + c] = r / (2(N+1)) sum D[kh][h] D[kw][w] x[h][w].
double defined_value(const Tensor& x, int64_t n, int64_t kh, int64_t kw, int64_t c) {
  const int64_t size = x.size(1);
  const auto d = [&](int64_t k, int64_t i) {
    return 2.0 *
           std::cos(M_PI * static_cast<double>(k * (2 * i + 1)) / static_cast<double>(2 * size));
  };
  double sum = 0.0;
  for (int64_t h = 0; h < size; ++h)
    for (int64_t w = 0; w < size; ++w)
      sum += d(kh, h) * d(kw, w) * value_at(x, ((n * size + h) * size + w) * x.channels() + c);
  return 0.5 / static_cast<double>(2 * (size + 1)) * sum;
}

TEST(Dct, FollowsTheDefinition) {
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{2, 3, 3, 5}, Shape{2, 7, 7, 67}}) {
    const Tensor x = random_tensor(shape, DType::f64, 1);
    const Tensor y = Tensor::empty(flat(shape), DType::f64);
    cpu::dct_forward(x, y, kReference);
    const Tensor y32 = pitched_tensor(flat(shape), DType::f32);
    cpu::dct_forward(pitched_copy(x.to(DType::f32)), y32, kReference);
    const int64_t size = shape[1];
    int64_t at = 0;
    for (int64_t n = 0; n < shape[0]; ++n)
      for (int64_t kw = 0; kw < size; ++kw)
        for (int64_t kh = 0; kh < size; ++kh)
          for (int64_t c = 0; c < shape[3]; ++c, ++at) {
            const double wanted = defined_value(x, n, kh, kw, c);
            ASSERT_NEAR(value_at(y, at), wanted, 1e-13);
            // 2N float roundings of values below about 4.
            ASSERT_NEAR(value_at(y32, at), wanted, 4e-6);
          }
  }
}

TEST(Dct, FirstEntriesAreScaledMeans) {
  const Tensor x = random_tensor({1, 4, 4, 3}, DType::f64, 2);
  const Tensor y = Tensor::empty({1, 48}, DType::f64);
  cpu::dct_forward(x, y, kReference);
  for (int64_t c = 0; c < 3; ++c) {
    double mean = 0.0;
    for (int64_t i = 0; i < 16; ++i) mean += value_at(x, 3 * i + c) / 16.0;
    EXPECT_NEAR(value_at(y, c), mean * 2 * 16 * 0.5 / 5, 1e-14);
  }
}

TEST(Dct, RoundTrips) {
  for (const DctMap& map : {kReference, kOrthonormal})
    for (const Shape& shape : {Shape{3, 1, 1, 2}, Shape{2, 4, 4, 64}, Shape{1, 7, 7, 16},
                               Shape{2, 8, 8, 5}, Shape{1, 11, 11, 130}})
      for (const DType dtype : {DType::f32, DType::f64}) {
        const Tensor x = random_tensor(shape, dtype, 3);
        const Tensor y = Tensor::empty(flat(shape), dtype);
        const Tensor back = pitched_tensor(shape, dtype);
        cpu::dct_forward(x, y, map);
        cpu::dct_inverse(y, back, map);
        expect_near(back, x, dtype == DType::f32 ? 1e-5 : 1e-13, shape.str());
      }
}

TEST(Dct, BackwardMatchesDifferences) {
  for (const DctMap& map : {kReference, kOrthonormal}) {
    const Shape shape{2, 3, 3, 2};
    const Tensor x = random_tensor(shape, DType::f64, 4);
    const Tensor y = Tensor::empty(flat(shape), DType::f64);
    const Tensor grad_y = random_tensor(y.shape(), DType::f64, 5);
    const Tensor grad_x = Tensor::empty(shape, DType::f64);
    cpu::dct_backward(grad_y, grad_x, map);
    const Tensor wanted = testing::numeric_gradient(x, [&] {
      cpu::dct_forward(x, y, map);
      return inner(y, grad_y);
    });
    expect_near(grad_x, wanted, 1e-9);
  }
}

TEST(Dct, LogDetsFollowTheRowNorms) {
  for (const int64_t size : {1, 4, 7}) {
    // The rows of A are orthogonal, and det(A (x) A) = det(A)^(2 size).
    const auto matrix = dct_matrix(size, kReference);
    double log_det = 0.0;
    for (int64_t k = 0; k < size; ++k) {
      double square = 0.0;
      for (int64_t n = 0; n < size; ++n) {
        const double entry = matrix[static_cast<size_t>(k * size + n)];
        square += entry * entry;
      }
      log_det += 0.5 * std::log(square);
    }
    EXPECT_NEAR(dct_log_det(size, 5, kReference), 5.0 * 2.0 * static_cast<double>(size) * log_det,
                1e-10);
    EXPECT_NEAR(dct_reported_log_det(size, 5, kReference),
                5.0 * static_cast<double>(size * size) * std::log(0.5), 1e-12);
  }
  EXPECT_EQ(dct_log_det(7, 3, kOrthonormal), 0.0);
  EXPECT_EQ(dct_reported_log_det(7, 3, kOrthonormal), 0.0);
}

TEST(Dct, OrthonormalKeepsTheNorm) {
  const Tensor x = random_tensor({1, 7, 7, 3}, DType::f64, 6);
  const Tensor y = Tensor::empty({1, 147}, DType::f64);
  cpu::dct_forward(x, y, kOrthonormal);
  EXPECT_NEAR(inner(x, x), inner(y, y), 1e-11);
}

TEST(Dct, RefusesWrongArguments) {
  expect_error(ErrorKind::usage, "dct_forward: expected square maps, got [1, 2, 3, 1]", [&] {
    cpu::dct_forward(Tensor::zeros({1, 2, 3, 1}), Tensor::zeros({1, 6}), kReference);
  });
  expect_error(ErrorKind::usage, "expected vector of shape [1, 4], got [1, 5]", [&] {
    cpu::dct_inverse(Tensor::zeros({1, 5}), Tensor::zeros({1, 2, 2, 1}), kReference);
  });
  expect_error(ErrorKind::usage, "positive rebalance", [&] {
    cpu::dct_forward(Tensor::zeros({1, 1, 1, 1}), Tensor::zeros({1, 1}),
                     {DctMap::Flavour::reference, -1.0});
  });
  expect_error(ErrorKind::usage, "non-empty image", [&] {
    cpu::dct_forward(Tensor::empty({0, 2, 2, 1}), Tensor::empty({0, 4}), kReference);
  });
}

}  // namespace
}  // namespace pal
