#include "kernels/resample/haar.h"

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
using testing::tensor_with;

Shape coarse_of(const Shape& x) { return {x[0], x[1] / 2, x[2] / 2, 4 * x[3]}; }

TEST(Haar, HandValues) {
  // One 2x2 patch of two channels: [1 2; 3 5] and [10 0; 0 0].
  const Tensor x = tensor_with({1, 2, 2, 2}, DType::f64, {1, 10, 2, 0, 3, 0, 5, 0});
  const Tensor y = Tensor::empty({1, 1, 1, 8}, DType::f64);
  haar_forward(x, y, 0.5);
  expect_near(y,
              tensor_with({1, 1, 1, 8}, DType::f64, {2.75, 2.5, -0.75, 2.5, -1.25, 2.5, 0.25, 2.5}),
              1e-15);
  EXPECT_DOUBLE_EQ(haar_log_det(x.shape(), 0.5), 8 * std::log(0.5));
}

TEST(Haar, RoundTripsForOddSizesAndSlices) {
  for (const Shape& shape :
       {Shape{1, 2, 2, 1}, Shape{3, 6, 10, 3}, Shape{2, 14, 2, 17}, Shape{2, 28, 28, 16}})
    for (const DType dtype : {DType::f32, DType::f64}) {
      const Tensor x = random_tensor(shape, dtype, 1);
      const Tensor y = pitched_tensor(coarse_of(shape), dtype);
      const Tensor back = pitched_tensor(shape, dtype);
      haar_forward(pitched_copy(x), y, 0.7);
      haar_inverse(y, back, 0.7);
      // Four roundings of values below about 10.
      expect_near(back, x, dtype == DType::f32 ? 4e-6 : 1e-14);
    }
}

TEST(Haar, BackwardIsTheTranspose) {
  const Shape shape{2, 4, 6, 3};
  const Tensor x = random_tensor(shape, DType::f64, 2);
  const Tensor y = Tensor::empty(coarse_of(shape), DType::f64);
  const Tensor grad_y = random_tensor(y.shape(), DType::f64, 3);
  const Tensor grad_x = Tensor::empty(shape, DType::f64);
  haar_backward(grad_y, grad_x, 0.5);
  const Tensor wanted = testing::numeric_gradient(x, [&] {
    haar_forward(x, y, 0.5);
    return inner(y, grad_y);
  });
  expect_near(grad_x, wanted, 1e-9);
}

TEST(Haar, LogDetIsThatOfTheMatrix) {
  // The Gram matrix of one patch's map is rebalance^2 times the identity, so |det| = rebalance^4.
  const Tensor x = Tensor::zeros({1, 2, 2, 1}, DType::f64);
  const Tensor y = Tensor::empty({1, 1, 1, 4}, DType::f64);
  Tensor columns = Tensor::empty({4, 4}, DType::f64);
  for (int64_t i = 0; i < 4; ++i) {
    x.zero();
    testing::set_value(x, i, 1.0);
    haar_forward(x, y, 0.3);
    columns.slice_batch(i, 1).reshape({1, 1, 1, 4}).copy_from(y);
  }
  for (int64_t i = 0; i < 4; ++i)
    for (int64_t j = 0; j < 4; ++j)
      EXPECT_NEAR(inner(columns.slice_batch(i, 1), columns.slice_batch(j, 1)), i == j ? 0.09 : 0.0,
                  1e-15);
  EXPECT_DOUBLE_EQ(haar_log_det(x.shape(), 0.3), 4 * std::log(0.3));
}

TEST(Haar, RefusesWrongArguments) {
  const Tensor odd = Tensor::zeros({1, 3, 2, 1}, DType::f32);
  expect_error(ErrorKind::usage, "haar_forward: expected an even height and width", [&] {
    haar_forward(odd, Tensor::zeros({1, 1, 1, 4}, DType::f32), 0.5);
  });
  const Tensor x = Tensor::zeros({1, 2, 2, 1}, DType::f32);
  expect_error(ErrorKind::usage, "of shape [1, 1, 1, 4], got [1, 1, 1, 3]", [&] {
    haar_forward(x, Tensor::zeros({1, 1, 1, 3}, DType::f32), 0.5);
  });
  expect_error(ErrorKind::usage, "expected a positive rebalance", [&] {
    haar_forward(x, Tensor::zeros({1, 1, 1, 4}, DType::f32), 0.0);
  });
  expect_error(ErrorKind::usage, "non-empty image", [&] {
    haar_forward(Tensor::empty({0, 2, 2, 1}), Tensor::empty({0, 1, 1, 4}), 0.5);
  });
}

}  // namespace
}  // namespace pal
