#include "kernels/library/gemm.h"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>

#include "tests/cuda/libraries.h"
#include "tests/cuda/parity.h"
#include "tests/support/environment.h"
#include "tests/support/numeric.h"
#include "tests/support/temporary_folder.h"

namespace pal::test {
namespace {

using testing::expect_error;

constexpr std::array<int64_t, 3> kSizes[] = {{1, 1, 1},    {1, 7, 3},    {5, 1, 17},
                                             {13, 17, 7},  {31, 64, 1},  {64, 33, 48},
                                             {24, 130, 9}, {130, 24, 3}, {100, 2, 129}};

Tensor placed(const Tensor& values, bool pitched) {
  return pitched ? gpu_slice(values, 3, 2) : on_gpu(values);
}

/// One product on the GPU next to the CPU's in f32 of the same, perhaps rounded, operands.
void check(const std::array<int64_t, 3>& size, GemmOp op, DType in, DType out, bool pitched,
           double tolerance) {
  const auto [m, n, k] = size;
  const Tensor a = random_tensor(op.transpose_a ? Shape{k, m} : Shape{m, k}, in, 1);
  const Tensor b = random_tensor(op.transpose_b ? Shape{n, k} : Shape{k, n}, in, 2);
  const Tensor c = random_tensor({m, n}, out, 3);
  const Tensor wanted = c.to(DType::f32);
  cpu::gemm(a.to(DType::f32), b.to(DType::f32), wanted, op);
  const Tensor found = placed(c, pitched);
  cuda::gemm(placed(a, pitched), placed(b, pitched), found, op);
  expect_close(wanted, on_cpu(found).to(DType::f32), tolerance,
               Shape({m, n, k}).str() + (op.transpose_a ? " ta" : "") +
                   (op.transpose_b ? " tb" : "") + (op.accumulate ? " accumulate" : "") +
                   (pitched ? " pitched" : ""));
}

void check_all(DType in, DType out, double tolerance) {
  for (const auto& size : kSizes)
    for (const bool ta : {false, true})
      for (const bool tb : {false, true})
        for (const bool accumulate : {false, true})
          for (const bool pitched : {false, true})
            check(size, {ta, tb, accumulate}, in, out, pitched, tolerance);
}

TEST(GemmCuda, AgreesWithTheCpu) { check_all(DType::f32, DType::f32, 1e-4); }

TEST(GemmCuda, Tf32AgreesWithinItsRounding) {
  const MathScope tf32({.tf32 = true});
  check_all(DType::f32, DType::f32, 2e-2);
}

TEST(GemmCuda, Bf16WithFloatResults) { check_all(DType::bf16, DType::f32, 1e-4); }

TEST(GemmCuda, Bf16WithBf16Results) { check_all(DType::bf16, DType::bf16, 3e-2); }

TEST(GemmCuda, ManyPixelsAndDeepSums) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    // As in a 1x1 convolution over 4 images of 28x28, and its weight gradient.
    check({3136, 72, 24}, {.transpose_b = true}, dtype, dtype, false,
          dtype == DType::f32 ? 1e-4 : 3e-2);
    check({72, 24, 3136}, {.transpose_a = true, .accumulate = true}, dtype, DType::f32, false,
          1e-4);
  }
}

TEST(GemmCuda, LeavesWhatLiesBesideASlice) {
  const Tensor a = on_gpu(random_tensor({6, 5}, DType::f32, 1));
  const Tensor b = on_gpu(random_tensor({5, 4}, DType::f32, 2));
  const Tensor wide = Tensor::empty({6, 9}, DType::f32, Tag::data, gpu());
  wide.fill(77.0);
  cuda::gemm(a, b, wide.slice_channels(2, 4));
  const Tensor host = on_cpu(wide);
  for (int64_t row = 0; row < 6; ++row)
    for (const int64_t column : {0, 1, 6, 7, 8})
      EXPECT_EQ(host.data<float>()[row * 9 + column], 77.0F) << row << ", " << column;
}

TEST(GemmCuda, SameBitsEveryTime) {
  const Tensor a = on_gpu(random_tensor({200, 33}, DType::f32, 1));
  const Tensor b = on_gpu(random_tensor({200, 21}, DType::f32, 2));
  const auto product = [&] {
    const Tensor c = Tensor::empty({33, 21}, DType::f32, Tag::data, gpu());
    cuda::gemm(a, b, c, {.transpose_a = true});
    return on_cpu(c);
  };
  const Tensor first = product();
  for (int i = 0; i < 3; ++i) expect_same(first, product(), "again");
}

TEST(GemmCuda, MeasuringLeavesNoTrace) {
  const testing::TemporaryFolder folder;
  const testing::Environment cache("XDG_CACHE_HOME", folder.path());
  const MathScope autotune({.autotune = true});
  // Of shapes that no other test plans.
  for (const bool accumulate : {false, true})
    for (const bool pitched : {false, true})
      check({37, 29, accumulate ? 43 : 41}, {.accumulate = accumulate}, DType::f32, DType::f32,
            pitched, 1e-4);
}

TEST(GemmCuda, GradientsAloneAreRoundedIfTheyAloneMayBe) {
  const MathScope tf32({.tf32_gradients = true});
  check({33, 40, 300}, {.transpose_b = true}, DType::f32, DType::f32, false, 1e-4);
  check({33, 40, 300}, {.transpose_b = true, .exact = true, .gradient = true}, DType::f32,
        DType::f32, false, 1e-4);
  check({33, 40, 300}, {.transpose_b = true, .gradient = true}, DType::f32, DType::f32, false,
        2e-2);
}

#ifndef PAL_EMULATE_CUDA

TEST(GemmCuda, MeasuredAlgorithmsAreKept) {
  const testing::TemporaryFolder folder;
  const testing::Environment cache("XDG_CACHE_HOME", folder.path());
  const MathScope autotune({.autotune = true});
  const Tensor a = on_gpu(random_tensor({47, 64}, DType::f32, 1));
  const Tensor b = on_gpu(random_tensor({64, 53}, DType::f32, 2));
  cuda::gemm(a, b, Tensor::empty({47, 53}, DType::f32, Tag::data, gpu()));
  const std::string entry = R"("gemm f32 47x53x64 pitch 64 53 53":"algorithm )";
  EXPECT_NE(library_choices().find(entry), std::string::npos) << library_choices();
  EXPECT_TRUE(std::filesystem::exists(folder.file("palindrome")));
}

#endif

TEST(GemmCuda, ImagesCountAsRows) {
  const Tensor x = random_tensor({2, 3, 5, 7}, DType::f32, 1);
  const Tensor w = random_tensor({4, 7}, DType::f32, 2);
  const Tensor wanted = Tensor::empty({2, 3, 5, 4}, DType::f32, Tag::data, Device());
  cpu::gemm(x, w, wanted, {.transpose_b = true});
  const Tensor found = Tensor::empty({2, 3, 5, 4}, DType::f32, Tag::data, gpu());
  cuda::gemm(on_gpu(x), on_gpu(w), found, {.transpose_b = true});
  expect_close(wanted, found, 1e-4, "images");
}

TEST(GemmCuda, RefusesWhatDoesNotFit) {
  const auto zeros = [](const Shape& shape, DType dtype) {
    return Tensor::zeros(shape, dtype, Tag::data, gpu());
  };
  const Tensor a = zeros({3, 5}, DType::f32);
  const Tensor b = zeros({5, 2}, DType::f32);
  const Tensor c = zeros({3, 2}, DType::f32);
  expect_error(ErrorKind::usage, "gemm: shapes do not fit: [3, 5] times [5, 2]^T into [3, 2]",
               [&] { cuda::gemm(a, b, c, {.transpose_b = true}); });
  expect_error(ErrorKind::usage, "dtypes do not fit: f32 times bf16 into f32", [&] {
    cuda::gemm(a, zeros({5, 2}, DType::bf16), c);
  });
  expect_error(ErrorKind::usage, "dtypes do not fit: f32 times f32 into bf16", [&] {
    cuda::gemm(a, b, zeros({3, 2}, DType::bf16));
  });
  expect_error(ErrorKind::usage, "gemm: f64 streams are for the CPU backend", [&] {
    cuda::gemm(zeros({3, 5}, DType::f64), zeros({5, 2}, DType::f64), zeros({3, 2}, DType::f64));
  });
}

}  // namespace
}  // namespace pal::test
