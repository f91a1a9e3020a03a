#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "kernels/blocked/convolution.h"
#include "kernels/blocked/product.h"
#include "kernels/library/gemm.h"
#include "tests/kernels/conv_case.h"

namespace pal {
namespace {

using testing::expect_near;
using testing::largest_magnitude;
using testing::pitched_copy;
using testing::random_tensor;
using testing::same_bits;
using testing::ThreadsRestored;
using Results = testing::ConvResults;

struct Case : testing::ConvCase {
  using ConvCase::ConvCase;
  blocked::Window window() const { return {geometry.kernel, geometry.stride, geometry.padding}; }
  Results ours() const {
    const Results r = empty(DType::f32);
    blocked::forward(x, weight, bias, window(), r.y);
    blocked::backward_data(grad_y, weight, window(), r.grad_x);
    blocked::backward_weight(x, grad_y, window(), r.grad_weight);
    return r;
  }
};

/// Kernels and strides of any kind, images smaller than a kernel's reach, channels that fill no tile; then
/// depths of several chunks and parts, rows of several tasks, weights whose gradient is transposed.
std::vector<Case> odd_cases() {
  std::vector<Case> cases;
  const ConvGeometry geometries[] = {{1, 1, 0}, {1, 1, 1}, {1, 1, 2}, {1, 2, 0}, {2, 2, 0},
                                     {3, 1, 1}, {3, 2, 1}, {3, 3, 0}, {3, 4, 2}, {7, 2, 3}};
  const std::pair<int64_t, int64_t> channels[] = {{1, 1}, {3, 17}, {16, 5}, {33, 31}};
  for (const ConvGeometry& g : geometries)
    for (const auto& [in, out] : channels)
      for (const Shape& size : {Shape{1, 7, 7}, Shape{2, 8, 11}, Shape{3, 13, 9}})
        cases.emplace_back(Shape{size[0], size[1], size[2], in}, out, g);
  cases.emplace_back(Shape{1, 3, 2, 20}, 9, ConvGeometry{3, 1, 1});
  cases.emplace_back(Shape{2, 21, 13, 67}, 131, ConvGeometry{1, 1, 0});
  cases.emplace_back(Shape{2, 15, 16, 130}, 40, ConvGeometry{3, 2, 1});
  cases.emplace_back(Shape{1, 75, 67, 20}, 50, ConvGeometry{1, 1, 0});
  cases.emplace_back(Shape{1, 130, 67, 5}, 7, ConvGeometry{3, 1, 1});
  cases.emplace_back(Shape{1, 5, 5, 530}, 520, ConvGeometry{1, 1, 0});
  return cases;
}

TEST(Blocked, ConvolutionsAgreeWithTheDoubleReference) {
  for (const Case& c : odd_cases()) expect_near(c.ours(), c.exact(), 3e-6, c.name());
}

TEST(Blocked, ConvolutionsHaveTheSameBitsOnAnyNumberOfThreads) {
  const ThreadsRestored restored;
  for (const Case& c : odd_cases()) {
    set_thread_count(1);
    const Results one = c.ours();
    for (const int threads : {2, 3, 7}) {
      set_thread_count(threads);
      EXPECT_TRUE(same_bits(one, c.ours())) << c.name() << " " << threads;
    }
  }
}

/// Also with fewer threads than a pass was cut for, as within a loop of others.
TEST(Blocked, HasTheSameBitsWhoeverDoesTheTasks) {
  const ThreadsRestored restored;
  set_thread_count(3);
  for (const Case& c :
       {Case({2, 15, 16, 130}, 40, {3, 2, 1}), Case({1, 75, 67, 20}, 50, {1, 1, 0})}) {
    const Results all = c.ours();
    Results alone;
#pragma omp parallel num_threads(2)
#pragma omp single
    alone = c.ours();
    EXPECT_TRUE(same_bits(alone, all)) << c.name();
  }
}

/// What is in the scratch memory before, as another kernel left it, reaches no result.
TEST(Blocked, ReadsNothingThatItDidNotWrite) {
  for (const Case& c : odd_cases()) {
    const Results first = c.ours();
    for (const int64_t bytes : {blocked::forward_scratch_bytes(c.x, c.grad_y, c.window()),
                                blocked::data_scratch_bytes(c.x, c.grad_y, c.window()),
                                blocked::weight_scratch_bytes(c.x, c.grad_y, c.window())})
      Tensor::empty({bytes / 4}, DType::f32, Tag::workspace, Device())
          .fill(std::numeric_limits<double>::quiet_NaN());
    EXPECT_TRUE(same_bits(first, c.ours())) << c.name();
  }
}

/// The second case has so long sums and so few pixels that gradients of weights are summed in parts.
TEST(Blocked, AnImageAloneHasTheBitsThatItHasInABatch) {
  for (const Case& c : {Case({5, 14, 15, 96}, 300, {3, 2, 1}), Case({5, 7, 7, 460}, 60)}) {
    const Results all = c.ours();
    const Tensor y = Tensor::empty(c.grad_y.slice_batch(3, 1).shape());
    blocked::forward(c.x.slice_batch(3, 1), c.weight, c.bias, c.window(), y);
    EXPECT_TRUE(same_bits(y, all.y.slice_batch(3, 1))) << c.name();
    const Tensor grad_x = Tensor::empty(c.x.slice_batch(3, 1).shape());
    blocked::backward_data(c.grad_y.slice_batch(3, 1), c.weight, c.window(), grad_x);
    EXPECT_TRUE(same_bits(grad_x, all.grad_x.slice_batch(3, 1))) << c.name();
  }
}

/// A value that is not finite spoils the pixels that see it, and no others.
TEST(Blocked, KeepsWhatIsNotFiniteToWhatSeesIt) {
  const Case c({2, 9, 10, 40}, 24, {3, 2, 1});
  const Results clean = c.ours();
  c.x.data<float>()[(9 * 10 + 4 * 10 + 5) * 40 + 7] = std::numeric_limits<float>::quiet_NaN();
  const Results spoilt = c.ours();
  for (int64_t image = 0; image < 2; ++image)
    for (int64_t i = 0; i < 5; ++i)
      for (int64_t j = 0; j < 5; ++j) {
        const int64_t at = ((image * 5 + i) * 5 + j) * 24;
        const bool sees = image == 1 && i == 2 && (j == 2 || j == 3);
        const float value = spoilt.y.data<float>()[at];
        EXPECT_EQ(std::isnan(value), sees) << image << " " << i << " " << j;
        EXPECT_TRUE(sees || value == clean.y.data<float>()[at]);
      }
}

/// Sums of many equal terms, in chunks and parts: a plain sum would be off by 1e-3.
TEST(Blocked, LongSumsLoseLittle) {
  constexpr int64_t kDepth = 100'003;
  const Tensor a = Tensor::empty({2, kDepth});
  const Tensor b = Tensor::empty({3, kDepth});
  a.fill(0.1F);
  b.fill(0.7F);
  const Tensor c = Tensor::empty({2, 3});
  blocked::multiply({a, b, {}, c, false, true, false});
  const double wanted = kDepth * static_cast<double>(0.1F) * static_cast<double>(0.7F);
  for (int64_t i = 0; i < 6; ++i) EXPECT_NEAR(c.data<float>()[i] / wanted, 1.0, 4e-6);
}

/// Every order of both operands, with a bias or added to what is there, rows apart or not.
TEST(Blocked, ProductsAgreeWithTheDoubleReference) {
  constexpr std::array<int64_t, 3> kSizes[] = {{1, 1, 1},      {1, 7, 3},      {5, 1, 17},
                                               {13, 17, 7},    {31, 64, 1},    {7, 33, 513},
                                               {40, 21, 4500}, {210, 37, 300}, {9, 1100, 70}};
  for (const auto& [m, n, k] : kSizes)
    for (const bool ta : {false, true})
      for (const bool tb : {false, true})
        for (const int kind : {0, 1, 2}) {
          const bool accumulate = kind == 1;
          const Tensor a = random_tensor(ta ? Shape{k, m} : Shape{m, k}, DType::f32, 1);
          const Tensor b = random_tensor(tb ? Shape{n, k} : Shape{k, n}, DType::f32, 2);
          const Tensor c = random_tensor({m, n}, DType::f32, 3);
          const Tensor bias = kind == 2 ? random_tensor({n}, DType::f32, 4) : Tensor();
          const Tensor wanted = c.to(DType::f64);
          cpu::gemm(a.to(DType::f64), b.to(DType::f64), wanted,
                    {.transpose_a = ta, .transpose_b = tb, .accumulate = accumulate});
          if (bias.defined())
            for (int64_t i = 0; i < m * n; ++i)
              wanted.data<double>()[i] += static_cast<double>(bias.data<float>()[i % n]);
          for (const bool pitched : {false, true}) {
            const Tensor to = pitched ? pitched_copy(c) : c.clone();
            blocked::multiply({pitched ? pitched_copy(a) : a, pitched ? pitched_copy(b) : b, bias,
                               to, ta, tb, accumulate});
            expect_near(to, wanted, 3e-6 * std::max(1.0, largest_magnitude(wanted)),
                        Shape({m, n, k}).str() + (ta ? " ta" : "") + (tb ? " tb" : "") +
                            (pitched ? " pitched " : " ") + std::to_string(kind));
          }
        }
}

/// Several blocks of the right operand, of columns and of the depth.
TEST(Blocked, BlocksOfTheRightOperandAddUp) {
  const Tensor a = random_tensor({98, 520}, DType::f32, 1);
  const Tensor b = random_tensor({4200, 520}, DType::f32, 2);
  const Tensor c = random_tensor({98, 4200}, DType::f32, 3);
  const Tensor wanted = c.to(DType::f64);
  blocked::multiply({a, b, {}, c, false, true, true});
  for (const int64_t row : {0, 50, 97}) {
    const Tensor exact = wanted.slice_batch(row, 1);
    cpu::gemm(a.slice_batch(row, 1).to(DType::f64), b.to(DType::f64), exact,
              {.transpose_b = true, .accumulate = true});
    expect_near(c.slice_batch(row, 1), exact, 3e-6 * largest_magnitude(exact), std::to_string(row));
  }
}

}  // namespace
}  // namespace pal
