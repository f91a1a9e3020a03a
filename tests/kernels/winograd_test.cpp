#include "kernels/winograd/winograd.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernels/winograd/winograd_math.h"
#include "tests/kernels/conv_case.h"

namespace pal {
namespace {

using testing::expect_near;
using testing::same_bits;
using testing::ThreadsRestored;
using Results = testing::ConvResults;

/// The transforms against what they stand for, in double.
TEST(Winograd, TransformsMakeAFilterOfThreeTaps) {
  const double inputs[winograd::kInputs] = {0.3, -1.2, 0.7, 2.1, -0.4, 0.9};
  const double taps[winograd::kTaps] = {0.5, -0.8, 1.3};
  const double grad[winograd::kOutputs] = {1.1, -0.2, 0.6, -1.7};
  double t[winograd::kInputs];
  double u[winograd::kInputs];
  double y[winograd::kOutputs];
  double w[winograd::kInputs];
  double g[winograd::kTaps];
  winograd::transform_input(inputs, t);
  winograd::transform_weight(taps, u);
  for (int k = 0; k < winograd::kInputs; ++k) u[k] *= t[k];
  winograd::transform_output(u, y);
  for (int i = 0; i < winograd::kOutputs; ++i) {
    const double wanted = taps[0] * inputs[i] + taps[1] * inputs[i + 1] + taps[2] * inputs[i + 2];
    EXPECT_NEAR(y[i], wanted, 1e-6) << i;
  }
  winograd::transform_output_gradient(grad, w);
  for (int k = 0; k < winograd::kInputs; ++k) w[k] *= t[k];
  winograd::transform_weight_gradient(w, g);
  for (int tap = 0; tap < winograd::kTaps; ++tap) {
    double wanted = 0.0;
    for (int i = 0; i < winograd::kOutputs; ++i) wanted += grad[i] * inputs[i + tap];
    EXPECT_NEAR(g[tap], wanted, 1e-6) << tap;
  }
}

struct Case : testing::ConvCase {
  using ConvCase::ConvCase;
  Results fast() const {
    const Results r = empty(DType::f32);
    winograd::forward(x, weight, bias, r.y);
    winograd::backward_data(grad_y, weight, r.grad_x);
    winograd::backward_weight(x, grad_y, r.grad_weight);
    return r;
  }
};

/// Images smaller than a tile, with parts of tiles, of several chunks; channels that do not fill vectors
/// or blocks.
std::vector<Case> odd_cases() {
  std::vector<Case> cases;
  const std::pair<int64_t, int64_t> channels[] = {{1, 1}, {3, 17}, {16, 5}, {33, 31}, {40, 24}};
  const std::pair<int64_t, int64_t> sizes[] = {{1, 1}, {2, 5}, {4, 4}, {5, 9}, {13, 8}};
  for (const auto& [in, out] : channels)
    for (const auto& [height, width] : sizes)
      for (const int64_t batch : {1, 3}) cases.emplace_back(Shape{batch, height, width, in}, out);
  cases.emplace_back(Shape{2, 14, 15, 96}, 40);
  cases.emplace_back(Shape{3, 27, 26, 33}, 29);  // more tiles than a chunk of any pass
  cases.emplace_back(Shape{1, 150, 151, 16}, 5);
  return cases;
}

TEST(Winograd, AgreesWithTheDoubleReference) {
  for (const Case& c : odd_cases()) expect_near(c.fast(), c.exact(), 3e-6, c.name());
}

/// Of the root of the mean square of what should be.
double relative_error(const Tensor& actual, const Tensor& wanted) {
  const Tensor a = actual.to(DType::f64);
  double error = 0.0;
  double size = 0.0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    const double w = wanted.data<double>()[i];
    error += (a.data<double>()[i] - w) * (a.data<double>()[i] - w);
    size += w * w;
  }
  return std::sqrt(error / size);
}

/// Where plain sums would be off by 3e-7.
TEST(Winograd, LosesLittle) {
  const Case c({1, 14, 14, 256}, 64);
  const Results fast = c.fast();
  const Results exact = c.exact();
  EXPECT_LT(relative_error(fast.y, exact.y), 2e-6);
  EXPECT_LT(relative_error(fast.grad_x, exact.grad_x), 2e-6);
  EXPECT_LT(relative_error(fast.grad_weight, exact.grad_weight), 2e-6);
}

TEST(Winograd, HasTheSameBitsOnAnyNumberOfThreads) {
  const ThreadsRestored restored;
  for (const Case& c : odd_cases()) {
    set_thread_count(1);
    const Results one = c.fast();
    for (const int threads : {2, 3}) {
      set_thread_count(threads);
      const Results more = c.fast();
      EXPECT_TRUE(same_bits(one, more)) << c.name() << threads;
    }
  }
}

/// Also with fewer threads than a pass was cut for, as within a loop of others.
TEST(Winograd, HasTheSameBitsWhoeverDoesTheChunks) {
  const ThreadsRestored restored;
  set_thread_count(3);
  const Case c({3, 27, 26, 33}, 29);
  const Results all = c.fast();
  Results alone;
#pragma omp parallel num_threads(2)
#pragma omp single
  alone = c.fast();
  EXPECT_TRUE(same_bits(alone, all));
}

/// What is in the scratch memory before, as another kernel left it, reaches no result.
TEST(Winograd, ReadsNothingThatItDidNotWrite) {
  for (const Case& c : odd_cases()) {
    const Results first = c.fast();
    for (const int64_t bytes :
         {winograd::scratch_bytes(c.x, c.grad_y), winograd::scratch_bytes(c.grad_y, c.x),
          winograd::weight_scratch_bytes(c.x, c.grad_y)})
      Tensor::empty({bytes / 4}, DType::f32, Tag::workspace, Device())
          .fill(std::numeric_limits<double>::quiet_NaN());
    EXPECT_TRUE(same_bits(first, c.fast())) << c.name();
  }
}

TEST(Winograd, TakesNoBiasForZeros) {
  const Case c({2, 9, 10, 24}, 40);
  const Results all = c.fast();
  const Tensor without = Tensor::empty(c.grad_y.shape());
  const Tensor with_zeros = Tensor::empty(c.grad_y.shape());
  winograd::forward(c.x, c.weight, {}, without);
  winograd::forward(c.x, c.weight, Tensor::zeros({40}), with_zeros);
  EXPECT_TRUE(same_bits(without, with_zeros));
  EXPECT_FALSE(same_bits(without, all.y));
}

/// A value that is not finite spoils its tile and the tiles whose borders see it, of its image alone.
TEST(Winograd, KeepsWhatIsNotFiniteToItsTiles) {
  const Case c({3, 13, 14, 40}, 24);
  const Results clean = c.fast();
  const int64_t row = 14 * 40;
  c.x.data<float>()[13 * row + 5 * row + 5 * 40 + 7] = std::numeric_limits<float>::quiet_NaN();
  const Results spoilt = c.fast();
  for (const int64_t image : {0, 2})
    EXPECT_TRUE(same_bits(clean.y.slice_batch(image, 1), spoilt.y.slice_batch(image, 1))) << image;
  for (int64_t y = 0; y < 13; ++y)
    for (int64_t x = 0; x < 14; ++x) {
      const int64_t at = ((13 + y) * 14 + x) * 24;
      const bool near = y >= 4 && y <= 6 && x >= 4 && x <= 6;
      const bool far = y < 3 || y > 8 || x < 3 || x > 8;
      const float value = spoilt.y.data<float>()[at];
      EXPECT_TRUE(!near || std::isnan(value)) << y << " " << x;
      EXPECT_TRUE(!far || value == clean.y.data<float>()[at]) << y << " " << x;
    }
}

/// Images of a batch do not see each other, whatever shares their chunk.
TEST(Winograd, AnImageAloneHasTheBitsThatItHasInABatch) {
  const Case c({5, 14, 15, 96}, 40);
  const Results all = c.fast();
  const Tensor alone = Tensor::empty({1, 14, 15, 40});
  winograd::forward(c.x.slice_batch(3, 1), c.weight, c.bias, alone);
  EXPECT_TRUE(same_bits(alone, all.y.slice_batch(3, 1)));
}

}  // namespace
}  // namespace pal
