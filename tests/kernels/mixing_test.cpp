#include "kernels/mixing/orthogonal.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/arrays/host_values.h"
#include "kernels/mixing/plu.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::random_tensor;

std::vector<double> random_values(int64_t count, uint64_t key) {
  return testing::values_of(random_tensor({count}, DType::f64, key));
}

std::vector<double> product(const std::vector<double>& a, const std::vector<double>& b, int64_t n) {
  std::vector<double> c(a.size());
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < n; ++k)
      for (int64_t j = 0; j < n; ++j)
        c[static_cast<size_t>(i * n + j)] +=
            a[static_cast<size_t>(i * n + k)] * b[static_cast<size_t>(k * n + j)];
  return c;
}

std::vector<double> transpose(const std::vector<double>& a, int64_t n) {
  std::vector<double> t(a.size());
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      t[static_cast<size_t>(i * n + j)] = a[static_cast<size_t>(j * n + i)];
  return t;
}

void expect_identity(const std::vector<double>& a, int64_t n, double tolerance) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      ASSERT_NEAR(a[static_cast<size_t>(i * n + j)], i == j ? 1.0 : 0.0, tolerance)
          << i << ", " << j;
}

/// dL/dvalues of L = sum of weights times build(values), by central differences.
template <typename Build>
Tensor numeric(const std::vector<double>& start, const std::vector<double>& weights,
               Build&& build) {
  const auto size = static_cast<int64_t>(start.size());
  const Tensor values = testing::tensor_with({size}, DType::f64, start);
  return testing::numeric_gradient(values, [&] {
    const std::vector<double> w = build(testing::values_of(values));
    double sum = 0.0;
    for (size_t i = 0; i < w.size(); ++i) sum += w[i] * weights[i];
    return sum;
  });
}

TEST(Mixing, RandomMatricesAreOrthogonal) {
  for (const int64_t n : {1, 2, 3, 12, 33, 64, 97}) {
    const auto q = random_orthogonal(n, Philox(3, RandomPurpose::test));
    expect_identity(product(q, transpose(q, n), n), n, 1e-13);
  }
}

TEST(Mixing, RandomMatricesFollowTheHaarDistribution) {
  // Entries of Haar matrices of size 3 are uniform in [-1, 1] (Archimedes), signs are fair, and
  // both determinants are equally likely. 3000 draws, 5 standard deviations.
  constexpr int kDraws = 3000;
  double positive_determinants = 0.0;
  double mean[9] = {};
  double square[9] = {};
  for (uint64_t draw = 0; draw < kDraws; ++draw) {
    const auto q = random_orthogonal(3, Philox(5, RandomPurpose::test, draw));
    const double determinant = q[0] * (q[4] * q[8] - q[5] * q[7]) -
                               q[1] * (q[3] * q[8] - q[5] * q[6]) +
                               q[2] * (q[3] * q[7] - q[4] * q[6]);
    ASSERT_NEAR(std::abs(determinant), 1.0, 1e-12);
    positive_determinants += determinant > 0.0 ? 1.0 : 0.0;
    for (size_t i = 0; i < 9; ++i) {
      mean[i] += q[i] / kDraws;
      square[i] += q[i] * q[i] / kDraws;
    }
  }
  EXPECT_NEAR(positive_determinants / kDraws, 0.5, 5 * 0.5 / std::sqrt(kDraws));
  for (size_t i = 0; i < 9; ++i) {
    EXPECT_NEAR(mean[i], 0.0, 5 * std::sqrt(1.0 / 3.0 / kDraws));
    EXPECT_NEAR(square[i], 1.0 / 3.0, 5 * std::sqrt(4.0 / 45.0 / kDraws));
  }
}

TEST(Mixing, HouseholderProductFollowsTheDefinition) {
  const int64_t n = 5;
  const auto w0 = random_orthogonal(n, Philox(1, RandomPurpose::test));
  const auto v = random_values(3 * n, 2);
  std::vector<double> wanted = w0;
  for (int64_t k = 0; k < 3; ++k) {
    std::vector<double> h(static_cast<size_t>(n * n));
    double square = 0.0;
    for (int64_t i = 0; i < n; ++i) square += std::pow(v[static_cast<size_t>(k * n + i)], 2);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j)
        h[static_cast<size_t>(i * n + j)] =
            (i == j ? 1.0 : 0.0) -
            2.0 * v[static_cast<size_t>(k * n + i)] * v[static_cast<size_t>(k * n + j)] / square;
    wanted = product(wanted, h, n);
  }
  const auto w = householder_product(w0, v, n);
  for (size_t i = 0; i < w.size(); ++i) EXPECT_NEAR(w[i], wanted[i], 1e-13);
  expect_identity(product(w, transpose(w, n), n), n, 1e-13);
}

TEST(Mixing, HouseholderBackwardMatchesDifferences) {
  const int64_t n = 4;
  const auto w0 = random_orthogonal(n, Philox(1, RandomPurpose::test));
  const auto v = random_values(3 * n, 3);
  const auto grad_w = random_values(n * n, 4);
  std::vector<double> grad_v(v.size(), 0.25);
  householder_backward(w0, v, n, grad_w, grad_v);
  const Tensor wanted = numeric(v, grad_w, [&](const std::vector<double>& values) {
    return householder_product(w0, values, n);
  });
  for (size_t i = 0; i < v.size(); ++i)
    EXPECT_NEAR(grad_v[i] - 0.25, wanted.data<double>()[i], 1e-8);
}

TEST(Mixing, HouseholderRefusesAZeroVector) {
  const std::vector<double> w0 = {1, 0, 0, 1};
  const std::vector<double> zero = {0, 0};
  expect_error(ErrorKind::numerics, "squared length 0", [&] { householder_product(w0, zero, 2); });
}

TEST(Mixing, PluRebuildsAndInverts) {
  for (const int64_t n : {1, 2, 7, 24}) {
    const auto w = random_values(n * n, 5);
    const PluFactors factors = plu_factors(w, n);
    const auto rebuilt = plu_matrix(factors);
    for (size_t i = 0; i < w.size(); ++i) EXPECT_NEAR(rebuilt[i], w[i], 1e-12);
    expect_identity(product(plu_inverse(factors), w, n), n, 1e-9);
  }
  const auto q = random_orthogonal(9, Philox(2, RandomPurpose::test));
  EXPECT_NEAR(plu_log_det(plu_factors(q, 9)), 0.0, 1e-12);
  const std::vector<double> diagonal = {0, 3, -2, 0};
  EXPECT_NEAR(plu_log_det(plu_factors(diagonal, 2)), std::log(6.0), 1e-15);
}

TEST(Mixing, PluBackwardMatchesDifferences) {
  const int64_t n = 4;
  PluFactors factors = plu_factors(random_values(n * n, 6), n);
  const auto grad_w = random_values(n * n, 7);
  std::vector<double> grad_lower(16, 0.5);
  std::vector<double> grad_upper(16, 0.5);
  plu_backward(factors, grad_w, 0.7, grad_lower, grad_upper);
  const auto loss = [&] {
    const auto w = plu_matrix(factors);
    double sum = 0.7 * plu_log_det(factors);
    for (size_t i = 0; i < w.size(); ++i) sum += w[i] * grad_w[i];
    return sum;
  };
  for (std::vector<double>* part : {&factors.lower, &factors.upper}) {
    const bool is_lower = part == &factors.lower;
    for (size_t i = 0; i < part->size(); ++i) {
      const double value = (*part)[i];
      (*part)[i] = value + 1e-5;
      const double above = loss();
      (*part)[i] = value - 1e-5;
      const double below = loss();
      (*part)[i] = value;
      EXPECT_NEAR((is_lower ? grad_lower : grad_upper)[i] - 0.5, (above - below) / 2e-5, 1e-8) << i;
    }
  }
}

TEST(Mixing, PluRefusesSingularMatrices) {
  const std::vector<double> singular = {1, 2, 2, 4};
  expect_error(ErrorKind::numerics, "diagonal entry 1 of U is 0",
               [&] { plu_factors(singular, 2); });
}

TEST(Mixing, HostValuesRoundTrip) {
  const Tensor x = testing::pitched_copy(random_tensor({3, 5}, DType::f32, 8));
  expect_near(tensor_of(host_values(x), {3, 5}), x, 0.0);
  expect_error(ErrorKind::usage, "tensor_of: 2 values for [3]", [] {
    tensor_of(std::vector<double>{1, 2}, {3});
  });
}

}  // namespace
}  // namespace pal
