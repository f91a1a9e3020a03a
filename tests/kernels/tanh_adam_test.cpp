#include "kernels/optimizer/tanh_adam.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "runtime/parallel.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::inner;
using testing::numeric_gradient;
using testing::random_tensor;
using testing::set_value;
using testing::tensor_with;
using testing::value_at;
using testing::values_of;

AdamNumbers numbers_of_step(int t) {
  AdamNumbers numbers;
  numbers.correction1 = 1.0 - std::pow(numbers.beta1, t);
  numbers.correction2 = 1.0 - std::pow(numbers.beta2, t);
  return numbers;
}

/// Images [0, 1] of random v.
Tensor random_images(const Shape& shape, DType dtype, uint64_t key) {
  const Tensor x = Tensor::empty(shape, dtype);
  cpu::tanh_images(random_tensor(shape, dtype, key), x);
  return x;
}

/// What a step works on.
struct State {
  State(const Shape& shape, DType dtype)
      : v(random_tensor(shape, dtype, 1)),
        first(Tensor::zeros(shape, dtype)),
        second(Tensor::zeros(shape, dtype)),
        original(random_images(shape, dtype, 2)),
        x(Tensor::empty(shape, dtype)) {
    cpu::tanh_images(v, x);
  }
  void step(const Tensor& grad, const Tensor& rates, const AdamNumbers& numbers) const {
    cpu::tanh_adam_step(v, first, second, grad, original, rates, numbers, x);
  }
  Tensor v, first, second, original, x;
};

TEST(TanhAdam, ImagesByHand) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const double tolerance = dtype == DType::f32 ? 1e-7 : 1e-15;
    const double half_log = 0.5 * std::log(3.0);
    const Tensor v = tensor_with({1, 5}, dtype, {0, half_log, -half_log, 500, -500});
    const Tensor x = Tensor::empty({1, 5}, dtype);
    cpu::tanh_images(v, x);
    expect_near(x, tensor_with({1, 5}, dtype, {0.5, 0.75, 0.25, 1, 0}), tolerance);
    // Far below where tanh(v) + 1 has lost all its digits.
    cpu::tanh_images(tensor_with({1, 1}, dtype, {-20}), x.view_at(0, {1, 1}));
    EXPECT_NEAR(value_at(x, 0) / std::exp(-40.0), 1.0, 1e-5);
    set_value(v, 1, std::numeric_limits<double>::quiet_NaN());
    cpu::tanh_images(v, v);
    EXPECT_TRUE(std::isnan(value_at(v, 1)));
    EXPECT_EQ(value_at(v, 0), 0.5);
  }
}

TEST(TanhAdam, OneStepByHand) {
  // v = 0: x = 1/2 and dx/dv = 1/2. g = (3 + 2 (1/2 - 1/4)) / 2 = 1.75; the first step is the rate.
  const Shape shape{1, 1};
  const auto one = [&](double value) { return tensor_with(shape, DType::f64, {value}); };
  const Tensor v = one(0), first = one(0), second = one(0), x = one(0.5);
  cpu::tanh_adam_step(v, first, second, one(3), one(0.25), tensor_with({1}, DType::f64, {0.01}),
                      numbers_of_step(1), x);
  EXPECT_NEAR(value_at(first, 0), 0.175, 1e-15);
  EXPECT_NEAR(value_at(second, 0), 0.0030625, 1e-15);
  EXPECT_NEAR(value_at(v, 0), -0.01, 1e-9);
  EXPECT_NEAR(value_at(x, 0), (std::tanh(value_at(v, 0)) + 1.0) / 2.0, 1e-15);
}

TEST(TanhAdam, FollowsAPlainAdamInDouble) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : {Shape{1, 1}, Shape{3, 7}, Shape{2, 4099}, Shape{301, 19}}) {
      const State state(shape, dtype);
      const auto count = static_cast<size_t>(shape.numel());
      std::vector<double> v = values_of(state.v), m(count), s(count);
      const std::vector<double> original = values_of(state.original);
      const Tensor rates = Tensor::empty({shape[0]}, DType::f64);
      for (int64_t i = 0; i < shape[0]; ++i)
        set_value(rates, i, 0.01 * static_cast<double>(1 + i % 5));
      for (int t = 1; t <= 10; ++t) {
        const Tensor grad = random_tensor(shape, dtype, static_cast<uint64_t>(10 + t));
        state.step(grad, rates, numbers_of_step(t));
        for (size_t i = 0; i < count; ++i) {
          const auto at = static_cast<int64_t>(i);
          const double th = std::tanh(v[i]);
          const double g =
              (value_at(grad, at) + 2.0 * ((th + 1.0) / 2.0 - original[i])) * (1.0 - th * th) / 2.0;
          m[i] = 0.9 * m[i] + 0.1 * g;
          s[i] = 0.999 * s[i] + 0.001 * g * g;
          const double rate = value_at(rates, at / shape[1]);
          v[i] -= rate * (m[i] / (1.0 - std::pow(0.9, t))) /
                  (std::sqrt(s[i] / (1.0 - std::pow(0.999, t))) + 1e-8);
        }
      }
      // Ten steps of at most about 0.05. A first moment near zero keeps few digits, but then moves
      // little.
      const double tolerance = dtype == DType::f32 ? 1e-5 : 1e-12;
      const auto as_tensor = [&](const std::vector<double>& values) {
        return tensor_with(shape, DType::f64, values);
      };
      expect_near(state.v, as_tensor(v), tolerance, "v " + shape.str());
      expect_near(state.first, as_tensor(m), tolerance, "first moment");
      expect_near(state.second, as_tensor(s), tolerance, "second moment");
      for (double& value : v) value = (std::tanh(value) + 1.0) / 2.0;
      expect_near(state.x, as_tensor(v), tolerance, "x");
    }
}

TEST(TanhAdam, GradientIsThatOfTheDistanceAndTheFunction) {
  // With beta1 = 0 the first moment is the gradient: of |x - original|^2 + <weights, x>, here.
  const Shape shape{3, 5};
  const State state(shape, DType::f64);
  const Tensor weights = random_tensor(shape, DType::f64, 3);
  const Tensor images = Tensor::empty(shape, DType::f64);
  const Tensor wanted = numeric_gradient(state.v, [&] {
    cpu::tanh_images(state.v, images);
    double sum = inner(images, weights);
    for (int64_t i = 0; i < shape.numel(); ++i)
      sum += std::pow(value_at(images, i) - value_at(state.original, i), 2.0);
    return sum;
  });
  AdamNumbers numbers = numbers_of_step(1);
  numbers.beta1 = 0.0;
  numbers.correction1 = 1.0;
  state.step(weights, tensor_with({3}, DType::f64, {1, 1, 1}), numbers);
  expect_near(state.first, wanted, 1e-9);
}

TEST(TanhAdam, SamplesOfRateZeroStay) {
  const Shape shape{3, 4001};
  const State state(shape, DType::f32);
  const auto all = [&] {
    std::vector<std::vector<double>> values;
    for (const Tensor* t : {&state.v, &state.first, &state.second, &state.x})
      for (int64_t i = 0; i < 3; ++i)
        values.push_back(values_of(t->view_at(i * shape[1], {shape[1]})));
    return values;
  };
  const auto before = all();
  state.step(random_tensor(shape, DType::f32, 4), tensor_with({3}, DType::f64, {0.1, 0, 0.1}),
             numbers_of_step(1));
  const auto after = all();
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(before[i] == after[i], i % 3 == 1) << i;
}

TEST(TanhAdam, ANanStaysInItsElement) {
  const Shape shape{2, 9};
  const State state(shape, DType::f32);
  const Tensor grad = random_tensor(shape, DType::f32, 5);
  set_value(grad, 11, std::numeric_limits<double>::quiet_NaN());
  state.step(grad, tensor_with({2}, DType::f64, {0.1, 0.1}), numbers_of_step(1));
  for (const Tensor* t : {&state.v, &state.first, &state.second, &state.x})
    for (int64_t i = 0; i < shape.numel(); ++i)
      EXPECT_EQ(std::isnan(value_at(*t, i)), i == 11) << i;
}

TEST(TanhAdam, NumberOfThreadsDoesNotMatter) {
  const Shape shape{5, 7001};
  std::vector<double> first;
  for (const int threads : {1, 2, 3}) {
    const ThreadScope scope(threads);
    const State state(shape, DType::f32);
    for (int t = 1; t <= 3; ++t)
      state.step(random_tensor(shape, DType::f32, 6),
                 tensor_with({5}, DType::f64, {0.1, 0.2, 0, 0.3, 0.4}), numbers_of_step(t));
    if (first.empty()) first = values_of(state.v);
    EXPECT_EQ(first, values_of(state.v)) << threads;
  }
}

TEST(TanhAdam, RefusesWrongArguments) {
  const auto zeros = [](const Shape& shape, DType dtype = DType::f32) {
    return Tensor::zeros(shape, dtype);
  };
  const auto refused = [](const std::string& text, const std::function<void()>& call) {
    expect_error(ErrorKind::usage, text, call);
  };
  const Tensor v = zeros({2, 3}), two = zeros({2}, DType::f64);
  refused("tanh_images: expected x of shape [2, 3], got [2, 4]", [&] {
    cpu::tanh_images(v, zeros({2, 4}));
  });
  refused("tanh_images: expected a non-empty v of rank 2",
          [&] { cpu::tanh_images(zeros({3}), zeros({3})); });
  refused("tanh_images: expected f32 or f64, got bf16", [&] {
    cpu::tanh_images(zeros({2, 3}, DType::bf16), zeros({2, 3}, DType::bf16));
  });
  const auto step = [&](const Tensor& grad, const Tensor& original, const Tensor& rates) {
    cpu::tanh_adam_step(v, v.clone(), v.clone(), grad, original, rates, {}, v.clone());
  };
  refused("tanh_adam_step: expected gradient of shape [2, 3], got [3, 2]", [&] {
    step(zeros({3, 2}), v, two);
  });
  refused("tanh_adam_step: expected original in f32, got f64", [&] {
    step(v, zeros({2, 3}, DType::f64), two);
  });
  refused("tanh_adam_step: expected dense gradient", [&] {
    step(testing::pitched_tensor({2, 3}, DType::f32), v, two);
  });
  refused("tanh_adam_step: expected rates of shape [2], got [3]",
          [&] { step(v, v, zeros({3}, DType::f64)); });
  refused("tanh_adam_step: expected rates in f64", [&] { step(v, v, zeros({2})); });
}

}  // namespace
}  // namespace pal
