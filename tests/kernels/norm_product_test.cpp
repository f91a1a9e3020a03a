// Batch norm inside a product: against sums written out in double, and what is refused.
#include "kernels/product/norm_product.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/library/platform.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::random_tensor;
using testing::set_value;
using testing::value_at;

/// Rows [2, 3, 5] of 7 channels to 4, in double and, rounded, in `dtype`.
struct Case {
  explicit Case(DType dtype)
      : x(random_tensor({2, 3, 5, 7}, dtype, 1)),
        weight(random_tensor({4, 1, 1, 7}, parameters(dtype), 2)),
        bias(random_tensor({4}, parameters(dtype), 3)),
        grad_y(random_tensor({2, 3, 5, 4}, dtype, 4)) {
    norm.mean = random_tensor({7}, parameters(dtype), 5);
    norm.inv_std = Tensor::empty({7}, parameters(dtype));
    norm.weight = random_tensor({7}, parameters(dtype), 6);
    norm.bias = random_tensor({7}, parameters(dtype), 7);
    for (int64_t c = 0; c < 7; ++c) set_value(norm.inv_std, c, 0.5 + 0.25 * static_cast<double>(c));
  }
  static DType parameters(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

  double normalised(int64_t row, int64_t c, bool relu) const {
    const double value = (value_at(x, row * 7 + c) - value_at(norm.mean, c)) *
                             value_at(norm.inv_std, c) * value_at(norm.weight, c) +
                         value_at(norm.bias, c);
    return relu ? std::max(value, 0.0) : value;
  }

  Tensor x, weight, bias, grad_y;
  BatchNormArgs norm;
};

constexpr int64_t kRows = 30;

TEST(NormProduct, IsTheProductOfNormalisedValues) {
  for (const auto& [dtype, tolerance] : {std::pair{DType::f64, 1e-12}, {DType::f32, 1e-5}})
    for (const bool relu : {false, true})
      for (const bool biased : {false, true}) {
        const Case one(dtype);
        const Tensor y = Tensor::empty({2, 3, 5, 4}, dtype);
        const Tensor sums = Tensor::zeros({2, 4}, DType::f64);
        norm_product_forward(one.x, one.norm, relu, one.weight, biased ? one.bias : Tensor(), y,
                             sums);
        for (int64_t out = 0; out < 4; ++out) {
          double sum = 0.0, squares = 0.0;
          for (int64_t row = 0; row < kRows; ++row) {
            double wanted = biased ? value_at(one.bias, out) : 0.0;
            for (int64_t in = 0; in < 7; ++in)
              wanted += one.normalised(row, in, relu) * value_at(one.weight, out * 7 + in);
            EXPECT_NEAR(value_at(y, row * 4 + out), wanted, 20.0 * tolerance) << row << ", " << out;
            sum += wanted;
            squares += wanted * wanted;
          }
          EXPECT_NEAR(value_at(sums, out), sum, 1000.0 * tolerance);
          EXPECT_NEAR(value_at(sums, 4 + out), squares, 1000.0 * tolerance);
        }
      }
}

TEST(NormProduct, AddsTheGradientOfTheWeight) {
  for (const auto& [dtype, tolerance] : {std::pair{DType::f64, 1e-12}, {DType::f32, 1e-5}}) {
    const Case one(dtype);
    const Tensor gradient = Tensor::empty(one.weight.shape(), one.weight.dtype());
    gradient.fill(2.0);
    norm_product_weight_gradient(one.x, one.norm, true, one.grad_y, gradient);
    for (int64_t out = 0; out < 4; ++out)
      for (int64_t in = 0; in < 7; ++in) {
        double wanted = 2.0;
        for (int64_t row = 0; row < kRows; ++row)
          wanted += value_at(one.grad_y, row * 4 + out) * one.normalised(row, in, true);
        EXPECT_NEAR(value_at(gradient, out * 7 + in), wanted, 100.0 * tolerance);
      }
  }
}

TEST(NormProduct, RoundsWeightsToTheResultsType) {
  if (!cpu_has_bf16()) GTEST_SKIP() << "SKIPPED: this processor has no bf16";
  const Case one(DType::f32);
  const Tensor y = Tensor::empty({2, 3, 5, 4}, DType::bf16);
  const Tensor exact = Tensor::empty({2, 3, 5, 4}, DType::f32);
  norm_product_forward(one.x, one.norm, true, one.weight, one.bias, y);
  norm_product_forward(one.x, one.norm, true, one.weight, one.bias, exact);
  EXPECT_LT(testing::relative_difference(testing::values_of(y), testing::values_of(exact)), 2e-2);
}

TEST(NormProduct, RefusesWhatDoesNotFit) {
  const Case one(DType::f32);
  const Tensor y = Tensor::empty({2, 3, 5, 4}, DType::f32);
  const auto forward = [&](const Tensor& weight, const Tensor& to, const Tensor& sums = {}) {
    norm_product_forward(one.x, one.norm, true, weight, one.bias, to, sums);
  };
  expect_error(ErrorKind::usage, "norm_product_forward: expected dense y with 30 rows", [&] {
    forward(one.weight, Tensor::empty({2, 3, 4, 4}));
  });
  expect_error(ErrorKind::usage, "weight [4, 1, 1, 6] does not fit 7 channels in, 4 out", [&] {
    forward(Tensor::zeros({4, 1, 1, 6}), y);
  });
  expect_error(ErrorKind::usage, "expected sums of shape [2, 4]", [&] {
    forward(one.weight, y, Tensor::zeros({2, 3}, DType::f64));
  });
  expect_error(ErrorKind::usage, "expected bias of shape [4]", [&] {
    norm_product_forward(one.x, one.norm, true, one.weight, Tensor::zeros({3}), y);
  });
  expect_error(ErrorKind::usage, "norm_product_weight_gradient: weight", [&] {
    norm_product_weight_gradient(one.x, one.norm, true, one.grad_y, Tensor::zeros({4, 1, 1, 8}));
  });
}

}  // namespace
}  // namespace pal
