#include <gtest/gtest.h>

#include "kernels/resample/haar.h"
#include "tests/support/golden.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_close;

class HaarGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(HaarGolden, Agrees) {
  const testing::GoldenFile golden(GetParam());
  const auto rebalance = golden.config()["rebalance"].get<double>();
  ASSERT_TRUE(golden.config()["order_by_wavelet"].get<bool>());
  const Tensor x = golden.tensor("x");
  const int64_t batch = x.size(0);

  const Tensor out = Tensor::empty(golden.tensor("out").shape());
  haar_forward(x, out, rebalance);
  expect_close(golden, "out", out);

  // The golden loss is sum(out * grad_out) + sum(logdet); the log-determinant is constant.
  const Tensor grad_x = Tensor::empty(x.shape());
  haar_backward(golden.tensor("grad_out"), grad_x, rebalance);
  expect_close(golden, "grad.x", grad_x);

  const Tensor inverse = Tensor::empty(golden.tensor("inv_out").shape());
  haar_inverse(golden.tensor("inv_in"), inverse, rebalance);
  expect_close(golden, "inv_out", inverse);

  const double log_det = haar_log_det(x.shape(), rebalance);
  expect_close(golden, "logdet", testing::constant_tensor({batch}, log_det));
  expect_close(golden, "inv_logdet", testing::constant_tensor({batch}, -log_det));
}

INSTANTIATE_TEST_SUITE_P(Files, HaarGolden, ::testing::ValuesIn(testing::golden_files("haar_")));

// Another set need not hold every kind of file.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(HaarGolden);

}  // namespace
}  // namespace pal
