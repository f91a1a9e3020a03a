#include "autograd/gradient_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::pitched_copy;
using testing::random_tensor;
using testing::set_value;
using testing::value_at;

/// f(x) = sum x^3 / 3, with an error of one's choice in one entry of its gradient.
struct Cubes {
  explicit Cubes(const Shape& shape)
      : x(pitched_copy(random_tensor(shape, DType::f64, 1))),
        grad(Tensor::zeros(shape, DType::f64)) {}

  double loss() const {
    double sum = 0.0;
    for (int64_t i = 0; i < x.numel(); ++i) sum += std::pow(value_at(x, i), 3) / 3.0;
    return sum;
  }
  void backward() const {
    for (int64_t i = 0; i < x.numel(); ++i)
      set_value(grad, i,
                value_at(grad, i) + value_at(x, i) * value_at(x, i) + (i == wrong ? error : 0.0));
  }
  GradientReport check(const GradientCheckOptions& options = {}) const {
    return check_gradients([this] { return loss(); }, [this] { backward(); }, {{"x", x, grad}},
                           options);
  }

  Tensor x;
  Tensor grad;
  int64_t wrong = -1;
  double error = 0.0;
};

TEST(GradientCheck, AcceptsARightGradient) {
  Cubes cubes({3, 7});
  const auto before = testing::values_of(cubes.x);
  const GradientReport report = cubes.check();
  EXPECT_LT(report.worst, 1e-9) << report.text();
  EXPECT_EQ(report.entries, 21);
  EXPECT_EQ(testing::values_of(cubes.x), before);
}

TEST(GradientCheck, FindsTheWrongEntry) {
  Cubes cubes({3, 7});
  cubes.wrong = 16;
  cubes.error = 0.01 * testing::largest_magnitude(cubes.x);
  const GradientReport report = cubes.check();
  EXPECT_EQ(report.name, "x");
  EXPECT_EQ(report.index, 16);
  EXPECT_GT(report.worst, 1e-4);
  EXPECT_NE(report.text().find("x[16]: analytic"), std::string::npos);
}

TEST(GradientCheck, ANonFiniteGradientIsTheWorst) {
  Cubes cubes({5});
  cubes.wrong = 3;
  cubes.error = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(cubes.check().worst, std::numeric_limits<double>::infinity());
  EXPECT_EQ(cubes.check().index, 3);
}

TEST(GradientCheck, ASubsetIsDrawnFromTheSeed) {
  Cubes cubes({10, 10});
  cubes.wrong = 42;
  cubes.error = 1.0;
  int found = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const GradientReport report = cubes.check({.most_entries = 25, .seed = seed});
    EXPECT_EQ(report.entries, 25);
    EXPECT_EQ(report.worst, cubes.check({.most_entries = 25, .seed = seed}).worst);
    found += report.worst > 1e-3 ? 1 : 0;
  }
  // A quarter of the subsets hold entry 42: 10 expected, four standard deviations of 2.7.
  EXPECT_GT(found, 0);
  EXPECT_LT(found, 21);
}

TEST(GradientCheck, AStepAcrossACornerIsNotAnError) {
  const Tensor x = testing::tensor_with({2}, DType::f64, {3e-6, -1.0});
  const Tensor grad = Tensor::zeros({2}, DType::f64);
  const auto loss = [&] { return std::max(0.0, value_at(x, 0)) + std::max(0.0, value_at(x, 1)); };
  const auto report = check_gradients(loss, [&] { set_value(grad, 0, 1.0); }, {{"x", x, grad}});
  EXPECT_LT(report.worst, 1e-7) << report.text();
}

TEST(GradientCheck, VanishingGradientsAreMeasuredAgainstTheOthers) {
  const Tensor x = testing::tensor_with({1}, DType::f64, {1.0});
  const Tensor idle = testing::tensor_with({1}, DType::f64, {1.0});
  const Tensor grad_x = Tensor::zeros({1}, DType::f64);
  const Tensor grad_idle = Tensor::zeros({1}, DType::f64);
  const auto loss = [&] { return value_at(x, 0) + 1e-14 * value_at(idle, 0); };
  const auto backward = [&] { set_value(grad_x, 0, 1.0); };
  EXPECT_LT(check_gradients(loss, backward, {{"x", x, grad_x}, {"idle", idle, grad_idle}}).worst,
            1e-7);
}

TEST(GradientCheck, WantsDoubles) {
  const Tensor x = Tensor::zeros({2}, DType::f32);
  testing::expect_error(ErrorKind::usage, "x: expected a value and a gradient", [&] {
    check_gradients([] { return 0.0; }, [] {}, {{"x", x, x}});
  });
}

}  // namespace
}  // namespace pal
