// Batch norms of rows that several ranks have: the same as of all rows in one place.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/library/platform.h"
#include "kernels/norm/batch_norm.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::random_tensor;
using testing::relative_difference;
using testing::set_value;
using testing::value_at;
using testing::values_of;

BatchStatistics statistics_of(int64_t channels, DType dtype) {
  const auto made = [&](double value) {
    const Tensor t = Tensor::empty({channels}, dtype);
    t.fill(value);
    return t;
  };
  return {made(9.0), made(9.0), made(0.5), made(2.0), 1e-5, 0.3};
}

std::vector<double> all_of(const BatchStatistics& s) {
  std::vector<double> all;
  for (const Tensor& each : {s.mean, s.inv_std, s.running_mean, s.running_var})
    for (const double value : values_of(each)) all.push_back(value);
  return all;
}

/// Rows as batches with sizes that differ, one of them a single row.
const std::vector<std::vector<int64_t>> kRanks = {{1}, {1, 6}, {3, 3}, {5, 1, 4}, {1, 1, 2, 300}};

/// The vectors that these ranks, which have `shares` of the rows of x, make.
Tensor parts_of(const Tensor& x, const std::vector<int64_t>& shares) {
  const int64_t channels = x.channels();
  const Tensor parts =
      Tensor::empty({static_cast<int64_t>(shares.size()), 2 * channels + 1}, DType::f64);
  int64_t begin = 0;
  for (size_t r = 0; r < shares.size(); ++r) {
    const Tensor mine = x.slice_batch(begin, shares[r]);
    const Tensor shift = mine.view_at(0, {channels});
    const Tensor sums = Tensor::zeros({2, channels}, DType::f64);
    cpu::batch_norm_sums(mine, shift, sums);
    const int64_t at = static_cast<int64_t>(r) * (2 * channels + 1);
    cpu::batch_norm_part(sums, shift, shares[r], parts.view_at(at, {2 * channels + 1}));
    begin += shares[r];
  }
  return parts;
}

int64_t total(const std::vector<int64_t>& shares) {
  int64_t sum = 0;
  for (const int64_t each : shares) sum += each;
  return sum;
}

TEST(BatchNormRanks, StatisticsAreThoseOfAllRows) {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16})
    for (const auto& shares : kRanks)
      for (const int64_t channels : {1, 3, 17, 64})
        for (const double far : {0.0, 3000.0}) {
          if (dtype == DType::bf16 && (far != 0.0 || !cpu_has_bf16())) continue;
          Tensor x = random_tensor({total(shares), channels}, DType::f64, 4, 1.5);
          for (int64_t i = 0; i < x.numel(); ++i) x.data<double>()[i] += far;
          x = x.to(dtype);
          const DType parameters = dtype == DType::bf16 ? DType::f32 : dtype;
          const BatchStatistics wanted = statistics_of(channels, parameters);
          const BatchStatistics found = statistics_of(channels, parameters);
          cpu::batch_norm_statistics(x, wanted);
          cpu::batch_norm_combine(parts_of(x, shares), found);
          // Sums in f32 relative to other rows round differently; a single row has no deviation.
          const double tolerance = dtype == DType::f64 ? 1e-9 : 2e-5;
          const std::string what = std::string(name_of(dtype)) + " " + std::to_string(channels) +
                                   " channels, " + std::to_string(shares.size()) + " ranks";
          EXPECT_LT(relative_difference(all_of(found), all_of(wanted)), tolerance) << what;
          for (int64_t c = 0; c < channels; ++c)
            EXPECT_NEAR(value_at(found.inv_std, c) / value_at(wanted.inv_std, c), 1.0,
                        far > 0.0 ? 1e-4 : tolerance)
                << what;
        }
}

// Two rows and one: means of 1 and 10, squared deviations of 2 and 0, of all of 2 + 81 * 2 / 3.
TEST(BatchNormRanks, CountsRowsByHand) {
  const Tensor x = testing::tensor_with({3, 1}, DType::f64, {0.0, 2.0, 10.0});
  const Tensor parts = parts_of(x, {2, 1});
  EXPECT_EQ(values_of(parts), (std::vector<double>{1, 2, 2, 10, 0, 1}));
  BatchStatistics s = statistics_of(1, DType::f64);
  s.epsilon = 0.0;
  s.momentum = 1.0;
  cpu::batch_norm_combine(parts, s);
  EXPECT_DOUBLE_EQ(value_at(s.mean, 0), 4.0);
  EXPECT_DOUBLE_EQ(value_at(s.inv_std, 0), 1.0 / std::sqrt(56.0 / 3.0));
  EXPECT_DOUBLE_EQ(value_at(s.running_mean, 0), 4.0);
  EXPECT_DOUBLE_EQ(value_at(s.running_var, 0), 28.0);
}

TEST(BatchNormRanks, ANaNIsSeen) {
  const Tensor x = random_tensor({4, 2}, DType::f32, 4);
  set_value(x, 1, std::nan(""));
  const BatchStatistics s = statistics_of(2, DType::f32);
  cpu::batch_norm_combine(parts_of(x, {1, 3}), s);
  EXPECT_FALSE(std::isnan(value_at(s.inv_std, 0)));
  EXPECT_TRUE(std::isnan(value_at(s.mean, 1)) && std::isnan(value_at(s.inv_std, 1)));
}

// What three ranks make of sums over all of their rows: the gradient of x in one place.
TEST(BatchNormRanks, GradientsAreThoseOfAllRows) {
  const std::vector<int64_t> shares = {5, 1, 4};
  for (const DType dtype : {DType::f64, DType::f32}) {
    const int64_t channels = 5;
    const Shape shape = {total(shares), channels};
    const Tensor x = random_tensor(shape, dtype, 1);
    const Tensor grad_y = random_tensor(shape, dtype, 2);
    const auto parameter = [&](uint64_t key) { return random_tensor({channels}, dtype, key); };
    const BatchNormArgs args = {parameter(3), parameter(4), parameter(5), parameter(6)};
    const BatchNormGrads wanted = {Tensor::zeros(shape, dtype), {}, {}};
    cpu::batch_norm_backward(x, grad_y, args, true, true, wanted);
    const Tensor totals = Tensor::zeros({2 * channels + 1}, DType::f64);
    cpu::batch_norm_backward_sums(x, grad_y, args, true, totals.view_at(0, {2, channels}));
    set_value(totals, 2 * channels, static_cast<double>(x.rows()));
    const Tensor grad_x = Tensor::zeros(shape, dtype);
    int64_t begin = 0;
    for (const int64_t rows : shares) {
      const Tensor own = totals.clone();
      cpu::batch_norm_scale_sums(own, rows);
      EXPECT_EQ(value_at(own, 2 * channels), 10.0);
      cpu::batch_norm_backward_of(x.slice_batch(begin, rows), grad_y.slice_batch(begin, rows), args,
                                  true, true, own.view_at(0, {2, channels}), rows,
                                  {grad_x.slice_batch(begin, rows), {}, {}});
      begin += rows;
    }
    EXPECT_LT(relative_difference(values_of(grad_x), values_of(wanted.x)),
              dtype == DType::f64 ? 1e-13 : 1e-6);
  }
}

TEST(BatchNormRanks, RefusesWhatDoesNotFit) {
  const Tensor sums = Tensor::zeros({2, 4}, DType::f64);
  const Tensor shift = Tensor::zeros({4});
  const auto vector_of = [](int64_t count) { return Tensor::zeros({count}, DType::f64); };
  expect_error(ErrorKind::usage, "at least one row",
               [&] { cpu::batch_norm_part(sums, shift, 0, vector_of(9)); });
  expect_error(ErrorKind::usage, "part of shape",
               [&] { cpu::batch_norm_part(sums, shift, 1, vector_of(8)); });
  const BatchStatistics s = statistics_of(4, DType::f32);
  expect_error(ErrorKind::usage, "at least one part", [&] {
    cpu::batch_norm_combine(Tensor::zeros({0, 9}, DType::f64), s);
  });
  expect_error(ErrorKind::usage, "parts of shape", [&] {
    cpu::batch_norm_combine(Tensor::zeros({2, 8}, DType::f64), s);
  });
  expect_error(ErrorKind::usage, "at least one row",
               [&] { cpu::batch_norm_scale_sums(vector_of(9), 0); });
  expect_error(ErrorKind::usage, "2 channels + 1",
               [&] { cpu::batch_norm_scale_sums(vector_of(8), 1); });
}

}  // namespace
}  // namespace pal
