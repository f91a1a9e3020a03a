// Batch norm inside a product against the plain kernels of the CPU, one after the other.
#include "kernels/product/norm_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/library/gemm.h"
#include "tests/cuda/batch_norm_case.h"

namespace pal::test {
namespace {

using batch_norm::Around;
using batch_norm::Case;
using batch_norm::place;
using testing::expect_error;
using testing::set_value;
using testing::value_at;

struct Size {
  Shape x;
  int64_t out;
};
/// A single row; rows, channels and columns that fill no tile and no step; several tiles.
const Size kSizes[] = {{{1, 8}, 8},          {{3, 7, 11, 24}, 64},  {{128, 32}, 16},
                       {{1, 9, 16, 72}, 72}, {{2, 5, 13, 40}, 136}, {{260, 64}, 8}};
constexpr Around kDense = {0, 0};
/// Slices that 16-byte accesses can read.
constexpr Around kSlice = {16, 8};

/// Operands on the CPU, and what the plain kernels make of them in float32 from operands in bf16.
struct Reference {
  Reference(const Size& size, DType x_type, bool relu)
      : plain(size.x, {x_type, DType::bf16}),
        weight(random_tensor({size.out, 1, 1, size.x.last()}, DType::f32, 11, 0.3)),
        bias(random_tensor({size.out}, DType::f32, 12)),
        grad_y(random_tensor(size.x.with_last(size.out), DType::bf16, 13)),
        grad_weight(random_tensor(weight.shape(), DType::f32, 14)) {
    const Tensor h = Tensor::empty(size.x, DType::bf16);
    cpu::batch_norm_forward(plain.x, plain.args, relu, h);
    exact = h.to(DType::f32);
  }
  /// y before it is rounded.
  Tensor y(bool biased) const {
    const int64_t out = bias.numel();
    const Tensor result = Tensor::empty(grad_y.shape());
    for (int64_t i = 0; i < result.numel(); ++i)
      set_value(result, i, biased ? value_at(bias, i % out) : 0.0);
    cpu::gemm(exact, weight.to(DType::bf16).to(DType::f32).reshape({out, exact.channels()}), result,
              {.transpose_b = true, .accumulate = true});
    return result;
  }
  Tensor gradient() const {
    const Tensor result = grad_weight.clone();
    cpu::gemm(grad_y.to(DType::f32), exact, result.reshape({result.size(0), result.channels()}),
              {.transpose_a = true, .accumulate = true});
    return result;
  }

  Case plain;
  Tensor weight, bias, grad_y, grad_weight;
  Tensor exact;  ///< the normalised values, rounded to bf16
};

std::string text(const Size& size, DType x_type, const Around& around) {
  return batch_norm::text(size.x, around, x_type, DType::bf16) + " to " + std::to_string(size.out);
}

/// Runs body(size, type of x, place of x, relu): the first sizes in all ways, larger ones in one.
template <typename Body>
void for_all(Body&& body) {
  int i = 0;
  for (const Size& size : kSizes)
    for (const DType x_type : {DType::f32, DType::bf16})
      for (const Around& around : {kDense, kSlice}) {
        const bool small = size.x.rows() * size.out < 6000;
        if (small || i % 4 == i / 4 % 4) body(size, x_type, around, i % 3 != 0);
        ++i;
      }
}

TEST(NormProductCuda, ForwardIsThatOfThePlainKernels) {
  for_all([](const Size& size, DType x_type, const Around& around, bool relu) {
    const Reference reference(size, x_type, relu);
    const std::string what = text(size, x_type, around);
    const Tensor x = place(reference.plain.x, around);
    ASSERT_TRUE(has_norm_product(x, size.out)) << what;
    const bool biased = size.out != 64;
    const Tensor y = Tensor::empty(size.x.with_last(size.out), DType::bf16, Tag::data, gpu());
    const Tensor sums = Tensor::empty({2, size.out}, DType::f64, Tag::data, gpu());
    sums.fill(3.0);
    norm_product_forward(x, reference.plain.args_on_gpu(), relu, on_gpu(reference.weight),
                         biased ? on_gpu(reference.bias) : Tensor(), y, sums);
    expect_close(reference.y(biased).to(DType::bf16), y, 1e-2, what);
    // The sums are those of what was written.
    const Tensor wanted = Tensor::empty({2, size.out}, DType::f64);
    wanted.fill(3.0);
    const Tensor shift = Tensor::zeros({size.out}, DType::bf16);
    cpu::batch_norm_sums(on_cpu(y), shift, wanted);
    expect_close(wanted, sums, 1e-6, what + ": sums");
  });
}

TEST(NormProductCuda, GradientIsThatOfThePlainKernels) {
  for_all([](const Size& size, DType x_type, const Around& around, bool relu) {
    const Reference reference(size, x_type, relu);
    const Tensor found = on_gpu(reference.grad_weight).clone();
    norm_product_weight_gradient(place(reference.plain.x, around), reference.plain.args_on_gpu(),
                                 relu, on_gpu(reference.grad_y), found);
    // Products are exact; only a normalised value may round to its neighbour.
    expect_close(reference.gradient(), found, 1e-3, text(size, x_type, around));
  });
}

TEST(NormProductCuda, ManyRowsAreAddedInParts) {
  const Size size = {{600, 16}, 24};
  const Reference reference(size, DType::bf16, true);
  const Tensor found = on_gpu(reference.grad_weight).clone();
  norm_product_weight_gradient(on_gpu(reference.plain.x), reference.plain.args_on_gpu(), true,
                               on_gpu(reference.grad_y), found);
  expect_close(reference.gradient(), found, 1e-3, "parts");
}

TEST(NormProductCuda, SameBitsInEverySchedule) {
  const Size size = {{290, 40}, 72};
  const Reference reference(size, DType::f32, true);
  const Tensor x = on_gpu(reference.plain.x);
  const BatchNormArgs args = reference.plain.args_on_gpu();
  run_schedules([&] {
    const Tensor y = Tensor::empty({290, 72}, DType::bf16, Tag::data, gpu());
    const Tensor sums = Tensor::zeros({2, 72}, DType::f64, Tag::data, gpu());
    norm_product_forward(x, args, true, on_gpu(reference.weight), {}, y, sums);
    // Without sums there are fewer barriers between a block's tiles.
    const Tensor alone = Tensor::empty({290, 72}, DType::bf16, Tag::data, gpu());
    norm_product_forward(x, args, true, on_gpu(reference.weight), {}, alone);
    const Tensor gradient = on_gpu(reference.grad_weight).clone();
    norm_product_weight_gradient(x, args, true, on_gpu(reference.grad_y), gradient);
    return std::vector<Tensor>{y, sums, alone, gradient};
  });
}

TEST(NormProductCuda, TakesWeightsThatAreRoundedAlready) {
  const Size size = {{40, 24}, 16};
  const Reference reference(size, DType::bf16, true);
  const auto run = [&](const Tensor& weight) {
    const Tensor y = Tensor::empty({40, 16}, DType::bf16, Tag::data, gpu());
    norm_product_forward(on_gpu(reference.plain.x), reference.plain.args_on_gpu(false), true,
                         weight, {}, y);
    return y;
  };
  const Tensor y = run(on_gpu(reference.weight));
  expect_same(y, run(on_gpu(reference.weight.to(DType::bf16))), "bf16");
  const Tensor apart = Tensor::empty({reference.weight.numel() + 1}, DType::bf16, Tag::data, gpu());
  const Tensor misaligned = apart.view_at(1, reference.weight.shape());
  misaligned.copy_from(reference.weight.to(DType::bf16));
  expect_same(y, run(misaligned), "bf16, misaligned");
}

TEST(NormProductCuda, ANanStaysInItsRow) {
  const Size size = {{150, 40}, 8};
  Reference reference(size, DType::f32, true);
  set_value(reference.plain.x, 131 * 40 + 5, std::numeric_limits<double>::quiet_NaN());
  const Tensor y = Tensor::empty({150, 8}, DType::bf16, Tag::data, gpu());
  norm_product_forward(on_gpu(reference.plain.x), reference.plain.args_on_gpu(), true,
                       on_gpu(reference.weight), {}, y);
  const Tensor host = on_cpu(y);
  for (int64_t i = 0; i < host.numel(); ++i)
    EXPECT_EQ(std::isnan(value_at(host, i)), i / 8 == 131) << i;
}

TEST(NormProductCuda, LeavesTheRestToThePlainKernels) {
  const auto takes = [](const Shape& shape, DType dtype, int64_t out, const Around& around = {}) {
    const Tensor wide = Tensor::empty(shape.with_last(around.begin + shape.last() + around.after),
                                      dtype, Tag::data, gpu());
    return has_norm_product(wide.slice_channels(around.begin, shape.last()), out);
  };
  EXPECT_TRUE(takes({4, 24}, DType::f32, 48));
  EXPECT_FALSE(takes({4, 20}, DType::f32, 48));
  EXPECT_FALSE(takes({4, 24}, DType::f32, 44));
  EXPECT_TRUE(takes({4, 24}, DType::f32, 48, {4, 4}));
  EXPECT_FALSE(takes({4, 24}, DType::f32, 48, {2, 6}));  // begins between two accesses
  EXPECT_FALSE(takes({4, 24}, DType::f32, 48, {4, 2}));  // rows that do
  EXPECT_FALSE(takes({4, 24}, DType::bf16, 48, {4, 4}));
  EXPECT_TRUE(takes({4, 24}, DType::bf16, 48, {8, 8}));
  EXPECT_TRUE(takes({4, 1024}, DType::bf16, 256));
  EXPECT_FALSE(takes({4, 1032}, DType::bf16, 8));  // more numbers than shared memory holds
  const Reference reference({{4, 20}, 8}, DType::f32, true);
  const Tensor y = Tensor::empty({4, 8}, DType::bf16, Tag::data, gpu());
  expect_error(ErrorKind::usage, "norm_product_forward: no kernel for x [4, 20] in f32 and 8", [&] {
    norm_product_forward(on_gpu(reference.plain.x), reference.plain.args_on_gpu(), true,
                         on_gpu(reference.weight), {}, y);
  });
}

}  // namespace
}  // namespace pal::test
