#include "kernels/library/conv.h"

#include <gtest/gtest.h>

#include <cstring>

#include "kernels/library/conv_way.h"
#include "kernels/library/platform.h"
#include "tests/kernels/conv_case.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::largest_magnitude;
using testing::random_tensor;

struct Case : testing::ConvCase {
  Case(const Shape& x_shape, int64_t out, const ConvGeometry& g)
      : ConvCase(x_shape, out, g), y_shape(grad_y.shape()) {}
  Shape y_shape;
};

struct Results : testing::ConvResults {
  Tensor grad_bias;
};

/// All three directions with operands of one dtype; parameters and their gradients are f64 for f64,
/// else f32. Gradients of parameters begin at 0.5: they are added to.
Results run(const Case& c, DType dtype, bool with_bias) {
  const DType parameters = dtype == DType::f64 ? DType::f64 : DType::f32;
  const Tensor x = c.x.to(dtype);
  const Tensor grad_y = c.grad_y.to(dtype);
  const Tensor weight = c.weight.to(parameters);
  const Tensor bias = with_bias ? c.bias.to(parameters) : Tensor();
  WeightShadow shadow;
  Results r;
  r.y = Tensor::empty(c.y_shape, dtype);
  r.y.fill(77.0);
  cpu::conv_forward(x, weight, bias, c.geometry, shadow, r.y);
  r.grad_x = Tensor::empty(x.shape(), dtype);
  r.grad_x.fill(77.0);
  cpu::conv_backward_data(grad_y, weight, c.geometry, shadow, r.grad_x);
  r.grad_weight = Tensor::empty(weight.shape(), parameters);
  r.grad_weight.fill(0.5);
  r.grad_bias = Tensor::empty(c.bias.shape(), parameters);
  r.grad_bias.fill(0.5);
  cpu::conv_backward_weight(x, grad_y, c.geometry, r.grad_weight,
                            with_bias ? r.grad_bias : Tensor());
  return r;
}

/// `unit` is the rounding of one operation. Errors of sums of random terms grow with the root of
/// their number, and so does the largest result: the ratio does not.
void expect_alike(const Results& actual, const Results& wanted, double unit,
                  const std::string& name) {
  testing::expect_near(static_cast<const testing::ConvResults&>(actual), wanted, unit, name);
  expect_near(actual.grad_bias, wanted.grad_bias,
              unit * std::max(1.0, largest_magnitude(wanted.grad_bias)), name + " grad_bias");
}

std::vector<Case> odd_cases() {
  std::vector<Case> cases;
  const ConvGeometry geometries[] = {{1, 1, 0}, {1, 2, 0}, {3, 1, 1}, {3, 2, 1},
                                     {3, 1, 0}, {7, 2, 3}, {7, 1, 3}};
  const std::pair<int64_t, int64_t> channels[] = {{1, 1},  {2, 3},  {3, 2},   {5, 7},
                                                  {7, 17}, {13, 5}, {17, 13}, {32, 32}};
  for (const ConvGeometry& g : geometries)
    for (const auto& [in, out] : channels)
      for (const int64_t batch : {1, 3})
        cases.emplace_back(Shape{batch, batch == 1 ? 5 : 8, batch == 1 ? 9 : 7, in}, out, g);
  cases.emplace_back(Shape{1, 1, 1, 3}, 5, ConvGeometry{3, 1, 1});
  cases.emplace_back(Shape{2, 1, 7, 3}, 5, ConvGeometry{3, 2, 1});
  // What runs as a product of matrices: all passes, or with many rows the gradient of the weights.
  cases.emplace_back(Shape{1, 1, 1, 256}, 257, ConvGeometry{1, 1, 0});
  cases.emplace_back(Shape{3, 3, 5, 263}, 256, ConvGeometry{1, 1, 0});
  cases.emplace_back(Shape{1, 33, 32, 256}, 256, ConvGeometry{1, 1, 0});
  // Whose gradient of the weights is made in blocks of channels.
  cases.emplace_back(Shape{2, 57, 8, 64}, 5, ConvGeometry{3, 2, 1});
  cases.emplace_back(Shape{1, 56, 7, 67}, 33, ConvGeometry{3, 2, 1});
  // A product of ours, of parts of blocks and more pixels than a chunk.
  cases.emplace_back(Shape{2, 21, 13, 67}, 131, ConvGeometry{1, 1, 0});
  // What runs by fewer multiplications, and what its neighbours in shape do.
  cases.emplace_back(Shape{1, 29, 31, 40}, 56, ConvGeometry{3, 1, 1});
  cases.emplace_back(Shape{3, 16, 20, 56}, 24, ConvGeometry{3, 1, 1});
  cases.emplace_back(Shape{3, 16, 20, 56}, 24, ConvGeometry{3, 1, 0});
  return cases;
}

TEST(Conv, AgreesWithTheDoubleReference) {
  for (const Case& c : odd_cases())
    for (const bool with_bias : {false, true})
      expect_alike(run(c, DType::f32, with_bias), run(c, DType::f64, with_bias), 3e-6, c.name());
}

TEST(Conv, Bf16AgreesWithinItsRounding) {
  if (!cpu_has_bf16()) GTEST_SKIP() << "SKIPPED: this processor has no bf16";
  for (const Case& c : odd_cases()) {
    // The reference gets the rounded operands, so only the results' own rounding remains: bf16 for
    // y and grad_x, and rounded weights for both.
    Case rounded = c;
    for (Tensor* t : {&rounded.x, &rounded.weight, &rounded.grad_y})
      *t = t->to(DType::bf16).to(DType::f32);
    expect_alike(run(rounded, DType::bf16, true), run(rounded, DType::f64, true), 1.0 / 128.0,
                 c.name());
  }
}

void expect_same_bits(const Tensor& a, const Tensor& b, const std::string& name) {
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())), 0) << name;
}

/// Whether the slices of the images are done by one thread or by all, and whatever their sizes.
TEST(Conv, SlicesHaveTheSameBitsWhoeverDoesThem) {
  const ThreadScope scope(3);
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const int64_t batch : {3, 6, 25}) {
      if (dtype == DType::bf16 && !cpu_has_bf16()) continue;
      const Case c({batch, 9, 7, 5}, 11, {3, 1, 1});
      const Results all = run(c, dtype, true);
      Results alone;
      // Loops within a team are done by the thread that starts them.
#pragma omp parallel num_threads(2)
#pragma omp single
      alone = run(c, dtype, true);
      expect_same_bits(alone.y, all.y, c.name() + " y");
      expect_same_bits(alone.grad_x, all.grad_x, c.name() + " grad_x");
      expect_same_bits(alone.grad_weight, all.grad_weight, c.name() + " grad_weight");
      expect_same_bits(alone.grad_bias, all.grad_bias, c.name() + " grad_bias");
      if (dtype == DType::f32) expect_alike(all, run(c, DType::f64, true), 3e-6, c.name());
    }
}

TEST(Conv, WeightGradientsAddUp) {
  const Case c({2, 5, 5, 3}, 7, {3, 1, 1});
  const Tensor once = Tensor::zeros(c.weight.shape());
  const Tensor bias_once = Tensor::zeros(c.bias.shape());
  cpu::conv_backward_weight(c.x, c.grad_y, c.geometry, once, bias_once);
  const Tensor thrice = Tensor::zeros(c.weight.shape());
  const Tensor bias_thrice = Tensor::zeros(c.bias.shape());
  for (int i = 0; i < 3; ++i)
    cpu::conv_backward_weight(c.x, c.grad_y, c.geometry, thrice, bias_thrice);
  for (int64_t i = 0; i < once.numel(); ++i)
    EXPECT_NEAR(testing::value_at(thrice, i), 3 * testing::value_at(once, i), 1e-4);
  for (int64_t i = 0; i < bias_once.numel(); ++i)
    EXPECT_NEAR(testing::value_at(bias_thrice, i), 3 * testing::value_at(bias_once, i), 1e-4);
}

TEST(Conv, ChoosesByShapesAlone) {
  using cpu::ConvPass;
  using cpu::ConvWay;
  EXPECT_TRUE(cpu::product_pays(ConvPass::forward, 1024, 256, 256));
  EXPECT_FALSE(cpu::product_pays(ConvPass::data, 1025, 256, 256));
  EXPECT_TRUE(cpu::product_pays(ConvPass::weight, 1025, 256, 256));
  EXPECT_FALSE(cpu::product_pays(ConvPass::weight, 49, 255, 4096));
  EXPECT_TRUE(cpu::conv_gradient_in_blocks(DType::f32, 56, 64, {3, 2, 1}));
  EXPECT_FALSE(cpu::conv_gradient_in_blocks(DType::bf16, 56, 64, {3, 2, 1}));
  EXPECT_FALSE(cpu::conv_gradient_in_blocks(DType::f32, 55, 64, {3, 2, 1}));
  const auto way = [](ConvPass pass, const Case& c, DType dtype) {
    return cpu::conv_way(pass, c.x.to(dtype), c.grad_y.to(dtype), c.geometry);
  };
  const Case strided({1, 16, 16, 32}, 32, {3, 2, 1});
  const ConvWay ours = cpu::products_are_ours() ? ConvWay::blocked : ConvWay::library;
  EXPECT_EQ(way(ConvPass::forward, strided, DType::f32), ours);
  EXPECT_EQ(way(ConvPass::data, strided, DType::f32), ours);
  EXPECT_EQ(way(ConvPass::weight, strided, DType::f32), ours);
  EXPECT_EQ(way(ConvPass::weight, strided, DType::bf16), ConvWay::library);
  EXPECT_EQ(way(ConvPass::forward, Case({1, 7, 7, 64}, 256, {1, 1, 0}), DType::f32),
            ConvWay::library);
  EXPECT_EQ(way(ConvPass::forward, Case({1, 7, 7, 256}, 256, {1, 1, 0}), DType::bf16),
            ConvWay::product);
}

/// The memory that a plan expects of the kernels is what they take.
TEST(Conv, PassesTakeTheScratchTheySay) {
  Allocator& allocator = Allocator::cpu();
  const auto taken = [&](const auto& pass) {
    pass();  // shadows are made
    allocator.reset_peaks();
    const int64_t before = allocator.stats().peak_of(Tag::workspace);
    pass();
    return allocator.stats().peak_of(Tag::workspace) - before;
  };
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const Case& c :
         {Case({2, 8, 8, 256}, 256, {1, 1, 0}), Case({2, 16, 16, 64}, 32, {3, 2, 1}),
          Case({1, 56, 56, 64}, 64, {3, 2, 1}), Case({2, 16, 16, 32}, 32, {3, 1, 1}),
          Case({5, 16, 16, 8}, 8, {3, 1, 1}), Case({3, 16, 20, 56}, 24, {3, 1, 1}),
          Case({4, 28, 28, 32}, 128, {1, 1, 0}), Case({7, 28, 28, 64}, 16, {1, 1, 0})}) {
      if (dtype == DType::bf16 && !cpu_has_bf16()) continue;
      const Tensor x = c.x.to(dtype);
      const Tensor grad_y = c.grad_y.to(dtype);
      const Tensor grad_x = Tensor::empty(x.shape(), dtype);
      const Tensor grad = Tensor::zeros(c.weight.shape());
      WeightShadow shadow;
      const auto expected = [&](cpu::ConvPass pass) {
        return static_cast<double>(cpu::conv_scratch(pass, x, grad_y, false, c.geometry));
      };
      const auto expect_taken = [&](int64_t bytes, cpu::ConvPass pass) {
        // Products of matrices take a little, too, whatever their size, which no plan counts.
        const double least = expected(pass) == 0.0 ? 1048576.0 : 8192.0;
        EXPECT_NEAR(static_cast<double>(bytes), expected(pass), 0.01 * expected(pass) + least)
            << c.name() << " " << name_of(dtype) << " pass " << static_cast<int>(pass);
      };
      const Tensor y = Tensor::empty(c.y_shape, dtype);
      expect_taken(taken([&] { cpu::conv_forward(x, c.weight, {}, c.geometry, shadow, y); }),
                   cpu::ConvPass::forward);
      expect_taken(taken([&] { cpu::conv_backward_weight(x, grad_y, c.geometry, grad, {}); }),
                   cpu::ConvPass::weight);
      expect_taken(
          taken([&] { cpu::conv_backward_data(grad_y, c.weight, c.geometry, shadow, grad_x); }),
          cpu::ConvPass::data);
    }
}

/// Products of ours, and what the library makes beside them.
TEST(Conv, GradientsOfWeightsHaveTheSameBitsOnAnyNumberOfThreads) {
  if (!cpu::products_are_ours())
    GTEST_SKIP() << "SKIPPED: the library's threads share these sums among them";
  const int before = thread_count();
  for (const Case& c :
       {Case({2, 21, 13, 67}, 131, {1, 1, 0}), Case({3, 5, 5, 256}, 64, {1, 1, 0})}) {
    set_thread_count(1);
    const Results one = run(c, DType::f32, true);
    for (const int threads : {2, 3}) {
      set_thread_count(threads);
      const Results more = run(c, DType::f32, true);
      expect_same_bits(more.grad_weight, one.grad_weight, c.name());
      expect_same_bits(more.grad_bias, one.grad_bias, c.name());
    }
  }
  set_thread_count(before);
}

/// Fewer multiplications need no copies of the weights: plans count none, and none are made.
TEST(Conv, FewerMultiplicationsKeepNoCopies) {
  if (!loops_have_library_width()) GTEST_SKIP() << "SKIPPED: the library has wider vectors";
  const Case c({3, 16, 20, 56}, 24, {3, 1, 1});
  WeightShadow shadow;
  for (const auto pass : {cpu::ConvPass::forward, cpu::ConvPass::data})
    cpu::plan_copies(pass, c.x, c.grad_y, true, c.geometry, c.weight, shadow);
  cpu::conv_forward(c.x, c.weight, c.bias, c.geometry, shadow, Tensor::empty(c.y_shape));
  cpu::conv_backward_data(c.grad_y, c.weight, c.geometry, shadow, Tensor::empty(c.x.shape()));
  EXPECT_EQ(shadow.impl, nullptr);
}

TEST(Conv, ShadowsFollowTheVersionOfTheWeights) {
  for (const ConvGeometry& g : {ConvGeometry{1, 1, 0}, ConvGeometry{3, 1, 1}}) {
    const Case c({2, 6, 6, 32}, 32, g);
    WeightShadow shadow;
    const Tensor y = Tensor::empty(c.y_shape);
    const Tensor grad_x = Tensor::empty(c.x.shape());
    const auto both = [&] {
      cpu::conv_forward(c.x, c.weight, {}, g, shadow, y);
      cpu::conv_backward_data(c.grad_y, c.weight, g, shadow, grad_x);
      return std::pair{testing::values_of(y), testing::values_of(grad_x)};
    };
    const auto first = both();
    for (int64_t i = 0; i < c.weight.numel(); ++i) c.weight.data<float>()[i] *= 2.0F;
    ++shadow.version;
    const auto second = both();
    for (size_t i = 0; i < first.first.size(); ++i) ASSERT_EQ(second.first[i], 2 * first.first[i]);
    for (size_t i = 0; i < first.second.size(); ++i)
      ASSERT_EQ(second.second[i], 2 * first.second[i]);
  }
}

TEST(Conv, RefusesWhatDoesNotFit) {
  const ConvGeometry g{3, 1, 1};
  WeightShadow shadow;
  const Tensor x = Tensor::zeros({2, 5, 5, 3});
  const Tensor weight = Tensor::zeros({4, 3, 3, 3});
  const Tensor y = Tensor::zeros({2, 5, 5, 4});
  const auto forward = [&](const Tensor& in, const Tensor& w, const Tensor& b, const Tensor& out) {
    cpu::conv_forward(in, w, b, g, shadow, out);
  };
  expect_error(ErrorKind::usage, "conv_forward: expected x [n, h, w, c] with n > 0", [&] {
    forward(Tensor::zeros({0, 5, 5, 3}), weight, {}, Tensor::zeros({0, 5, 5, 4}));
  });
  expect_error(ErrorKind::usage, "n > 0", [&] {
    forward(Tensor::zeros({5, 5, 3}), weight, {}, y);
  });
  expect_error(ErrorKind::usage, "weight [4, 3, 3, 2] does not fit 3 channels in", [&] {
    forward(x, Tensor::zeros({4, 3, 3, 2}), {}, y);
  });
  expect_error(ErrorKind::usage, "weight", [&] { forward(x, Tensor::zeros({4, 1, 1, 3}), {}, y); });
  expect_error(ErrorKind::usage, "expected y [2, 5, 5, 4], got [2, 5, 6, 4]", [&] {
    forward(x, weight, {}, Tensor::zeros({2, 5, 6, 4}));
  });
  expect_error(ErrorKind::usage, "dense", [&] {
    forward(testing::pitched_tensor({2, 5, 5, 3}, DType::f32), weight, {}, y);
  });
  expect_error(ErrorKind::usage, "one dtype, got f32 and f64",
               [&] { forward(x, weight, {}, y.to(DType::f64)); });
  expect_error(ErrorKind::usage, "expected bias of shape [4], got [3]",
               [&] { forward(x, weight, Tensor::zeros({3}), y); });
  expect_error(ErrorKind::usage, "expected weight in f32, got f64",
               [&] { forward(x, weight.to(DType::f64), {}, y); });
  expect_error(ErrorKind::usage, "conv_backward_data", [&] {
    cpu::conv_backward_data(y, weight, g, shadow, Tensor::zeros({2, 5, 5, 2}));
  });
  expect_error(ErrorKind::usage, "expected bias of shape [4], got [5]",
               [&] { cpu::conv_backward_weight(x, y, g, weight, Tensor::zeros({5})); });
  // An image smaller than the kernel has no output pixel.
  expect_error(ErrorKind::usage, "smaller than the kernel", [&] {
    const ConvGeometry wide{7, 2, 0};
    cpu::conv_forward(x, Tensor::zeros({4, 7, 7, 3}), {}, wide, shadow,
                      Tensor::zeros({2, 0, 0, 4}));
  });
}

}  // namespace
}  // namespace pal
