#include <gtest/gtest.h>

#include <cmath>

#include "kernels/resample/dct.h"
#include "tests/support/golden.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::constant_tensor;
using testing::expect_close;

class DctGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(DctGolden, Agrees) {
  const testing::GoldenFile golden(GetParam());
  const DctMap map{DctMap::Flavour::reference, golden.config()["rebalance"].get<double>()};
  const Tensor x = golden.tensor("x");
  const int64_t batch = x.size(0);
  const int64_t size = x.size(1);
  const int64_t channels = x.channels();

  // The golden matrix is D itself; A = sqrt(r / (2(N+1))) D.
  const double scale = std::sqrt(map.rebalance / static_cast<double>(2 * (size + 1)));
  std::vector<double> weight = dct_matrix(size, map);
  std::vector<double> inverse_weight = dct_inverse_matrix(size, map);
  for (double& entry : weight) entry /= scale;
  for (double& entry : inverse_weight) entry *= scale;
  expect_close(golden, "weight", testing::tensor_with({size, size}, DType::f64, weight));
  expect_close(golden, "inv_weight",
               testing::tensor_with({size, size}, DType::f64, inverse_weight));

  const Tensor out = Tensor::empty({batch, size * size * channels});
  cpu::dct_forward(x, out, map);
  expect_close(golden, "out", out);

  const Tensor grad_x = Tensor::empty(x.shape());
  cpu::dct_backward(golden.tensor("grad_out"), grad_x, map);
  expect_close(golden, "grad.x", grad_x);

  const Tensor inverse = Tensor::empty(x.shape());
  cpu::dct_inverse(golden.tensor("inv_in"), inverse, map);
  expect_close(golden, "inv_out", inverse);

  const double reported = dct_reported_log_det(size, channels, map);
  expect_close(golden, "logdet", constant_tensor({batch}, reported));
  // The reference reports the inverse's with the same sign.
  expect_close(golden, "inv_logdet", constant_tensor({batch}, reported));
  expect_close(golden, "logdet_true", constant_tensor({batch}, dct_log_det(size, channels, map)));
}

INSTANTIATE_TEST_SUITE_P(Files, DctGolden, ::testing::ValuesIn(testing::golden_files("dct_n")));

// Another set need not hold every kind of file.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DctGolden);

}  // namespace
}  // namespace pal
