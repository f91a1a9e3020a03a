#include "kernels/library/gemm.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "kernels/library/conv_way.h"
#include "kernels/library/platform.h"
#include "runtime/parallel.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::largest_magnitude;
using testing::pitched_copy;
using testing::random_tensor;

constexpr std::array<int64_t, 3> kSizes[] = {{1, 1, 1},   {1, 7, 3},    {5, 1, 17},   {13, 17, 7},
                                             {31, 64, 1}, {64, 33, 48}, {100, 2, 129}};

/// Runs one product in the given dtypes next to the reference in double.
void check(const std::array<int64_t, 3>& size, GemmOp op, DType in, DType out, bool pitched,
           double unit) {
  const auto [m, n, k] = size;
  Tensor a = random_tensor(op.transpose_a ? Shape{k, m} : Shape{m, k}, in, 1);
  Tensor b = random_tensor(op.transpose_b ? Shape{n, k} : Shape{k, n}, in, 2);
  Tensor c = random_tensor({m, n}, out, 3);
  const Tensor wanted = c.to(DType::f64);
  cpu::gemm(a.to(DType::f64), b.to(DType::f64), wanted, op);
  if (pitched) a = pitched_copy(a), b = pitched_copy(b), c = pitched_copy(c);
  cpu::gemm(a, b, c, op);
  expect_near(c, wanted, unit * std::max(1.0, largest_magnitude(wanted)),
              Shape({m, n, k}).str() + (op.transpose_a ? " ta" : "") +
                  (op.transpose_b ? " tb" : "") + (pitched ? " pitched" : ""));
  if (!pitched) return;
  // The columns beside the slice are not touched.
  const auto* before = static_cast<const char*>(c.raw()) - size_of(out);
  const Tensor guard = Tensor::empty({1}, out);
  guard.fill(77.0);
  EXPECT_EQ(std::memcmp(before, guard.raw(), static_cast<size_t>(size_of(out))), 0);
}

void check_all(DType in, DType out, double unit) {
  for (const auto& size : kSizes)
    for (const bool ta : {false, true})
      for (const bool tb : {false, true})
        for (const bool accumulate : {false, true})
          for (const bool pitched : {false, true})
            check(size, {ta, tb, accumulate}, in, out, pitched, unit);
}

TEST(Gemm, AgreesWithTheDoubleReference) { check_all(DType::f32, DType::f32, 3e-6); }

TEST(Gemm, LongSumsReachRowsThatLieApart) {
  for (const bool accumulate : {false, true})
    check({16, 24, 5000}, {.transpose_b = true, .accumulate = accumulate}, DType::f32, DType::f32,
          true, 3e-6);
}

TEST(Gemm, Bf16WithFloatResults) {
  if (!cpu_has_bf16()) GTEST_SKIP() << "SKIPPED: this processor has no bf16";
  // The operands are the rounded ones in the reference too, and sums are kept in float.
  check_all(DType::bf16, DType::f32, 3e-6);
}

TEST(Gemm, Bf16WithBf16Results) {
  if (!cpu_has_bf16()) GTEST_SKIP() << "SKIPPED: this processor has no bf16";
  check_all(DType::bf16, DType::bf16, 1.0 / 128.0);
}

TEST(Gemm, ImagesCountAsRows) {
  const Tensor x = random_tensor({2, 3, 5, 7}, DType::f32, 1);
  const Tensor w = random_tensor({4, 7}, DType::f32, 2);
  const Tensor y = Tensor::empty({2, 3, 5, 4});
  cpu::gemm(x, w, y, {.transpose_b = true});
  const Tensor flat = Tensor::empty({30, 4});
  cpu::gemm(x.reshape({30, 7}), w, flat, {.transpose_b = true});
  EXPECT_EQ(testing::values_of(y), testing::values_of(flat));
}

TEST(Gemm, BitsDoNotDependOnTheThreads) {
  int seed = 0;
  for (const auto& [m, n, k] : {std::array<int64_t, 3>{8, 10, 3072},
                                {3, 1000, 517},
                                {517, 3, 200},
                                {1568, 65, 129},
                                {129, 300, 4500},
                                {128, 64, 30'000},
                                {5000, 48, 48}})
    for (const bool ta : {false, true})
      for (const bool tb : {false, true}) {
        const Tensor a = random_tensor(ta ? Shape{k, m} : Shape{m, k}, DType::f32, ++seed);
        const Tensor b = random_tensor(tb ? Shape{n, k} : Shape{k, n}, DType::f32, ++seed);
        const Tensor start = random_tensor({m, n}, DType::f32, ++seed);
        std::vector<std::vector<double>> results;
        for (const int threads : {1, 2, 7}) {
          const ThreadScope scope(threads);
          const Tensor c = start.clone();
          cpu::gemm(a, b, c, {.transpose_a = ta, .transpose_b = tb, .accumulate = true});
          results.push_back(testing::values_of(c));
        }
        // Each thread of the library sums a part of those.
        if (ta && k >= 2048 && !cpu::products_are_ours()) continue;
        EXPECT_EQ(results[0], results[1]) << m << " " << n << " " << k << " " << ta << tb;
        EXPECT_EQ(results[0], results[2]) << m << " " << n << " " << k << " " << ta << tb;
      }
}

TEST(Gemm, RefusesWhatDoesNotFit) {
  const Tensor a = Tensor::zeros({3, 5});
  const Tensor b = Tensor::zeros({5, 2});
  const Tensor c = Tensor::zeros({3, 2});
  expect_error(ErrorKind::usage, "gemm: shapes do not fit: [3, 5] times [5, 2]^T into [3, 2]",
               [&] { cpu::gemm(a, b, c, {.transpose_b = true}); });
  expect_error(ErrorKind::usage, "shapes do not fit", [&] {
    cpu::gemm(a, b, Tensor::zeros({2, 3}));
  });
  expect_error(ErrorKind::usage, "shapes do not fit", [&] {
    cpu::gemm(Tensor::zeros({0, 5}), b, Tensor::zeros({0, 2}));
  });
  EXPECT_THROW(cpu::gemm(a, b.to(DType::f64), c), Error);
  EXPECT_THROW(cpu::gemm(a.to(DType::f64), b.to(DType::f64), c), Error);
  EXPECT_THROW(cpu::gemm(Tensor::zeros({3, 5}, DType::i32), b, c), Error);
}

}  // namespace
}  // namespace pal
