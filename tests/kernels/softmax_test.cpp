#include "kernels/loss/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "runtime/parallel.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::pitched_copy;
using testing::random_tensor;
using testing::tensor_with;
using testing::value_at;

double count_top_k(const Tensor& scores, const Tensor& labels, int64_t k) {
  const Tensor count = testing::constant_tensor({1}, -1.0);
  cpu::count_top_k(scores, labels, k, count);
  return value_at(count, 0);
}

double total(const Tensor& losses) {
  double sum = 0.0;
  for (const double value : testing::values_of(losses)) sum += value;
  return sum;
}

TEST(Softmax, HandValuesAndLargeScores) {
  const double l2 = std::log(2.0);
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor scores = tensor_with({2, 3}, dtype, {0, l2, l2, 1000, 1000, -1000});
    const Tensor q = Tensor::empty({2, 3}, dtype);
    cpu::softmax(pitched_copy(scores), q);
    expect_near(q, tensor_with({2, 3}, DType::f64, {0.2, 0.4, 0.4, 0.5, 0.5, 0}), 1e-7);
    const Tensor losses = Tensor::empty({2}, DType::f64);
    cpu::cross_entropy(scores, tensor_with({2}, DType::i32, {0, 2}), losses);
    expect_near(losses, tensor_with({2}, DType::f64, {std::log(5.0), 2000 + l2}), 1e-6);
  }
}

TEST(Softmax, Float32IsAsExactAsItsRounding) {
  for (const double spread : {1.0, 20.0, 300.0})
    for (const int64_t classes : {1, 2, 15, 16, 17, 1000}) {
      const Tensor scores = random_tensor({5, classes}, DType::f32, 7, spread);
      const Tensor exact = Tensor::empty({5, classes}, DType::f64);
      cpu::softmax(scores.to(DType::f64), exact);
      const Tensor q = pitched_copy(scores);
      cpu::softmax(q, q);
      for (int64_t i = 0; i < exact.numel(); ++i) {
        // What is too small for a normal float32 has fewer digits.
        const double wanted = value_at(exact, i);
        EXPECT_NEAR(value_at(q, i), wanted, 2e-7 * wanted + 1e-38)
            << "spread " << spread << ", " << classes << " classes, value " << i;
      }
    }
}

TEST(Softmax, WhatIsNotFiniteGivesWhatItDoesInDouble) {
  const double inf = std::numeric_limits<double>::infinity();
  const double nan = std::nan("");
  const std::vector<double> rows = {1,    -inf, 2,    0,    inf, 1, 0, 0, 1, nan,  0, 0,
                                    -inf, -inf, -inf, -inf, nan, 1, 2, 3, 3, -inf, 0, 3};
  const Tensor wanted = tensor_with({6, 4}, DType::f64, rows);
  const Tensor found = tensor_with({6, 4}, DType::f32, rows);
  cpu::softmax(wanted, wanted);
  cpu::softmax(found, found);
  for (int64_t i = 0; i < 24; ++i) {
    EXPECT_EQ(std::isnan(value_at(found, i)), std::isnan(value_at(wanted, i))) << i;
    if (std::isnan(value_at(wanted, i))) continue;
    EXPECT_NEAR(value_at(found, i), value_at(wanted, i), 1e-7) << i;
  }
}

TEST(Softmax, ScoresThatSwallowTheSumAreSharedAllTheSame) {
  const Tensor q = tensor_with({1, 4}, DType::f32, {3e38, -3e38, 0, 3e38});
  cpu::softmax(q, q);
  expect_near(q, tensor_with({1, 4}, DType::f64, {0.5, 0, 0, 0.5}), 0.0);
}

TEST(Softmax, AnyNumberOfThreadsGivesTheSameBits) {
  const Tensor scores = random_tensor({64, 1000}, DType::f32, 8, 10.0);
  const int before = thread_count();
  const Tensor one = Tensor::empty(scores.shape());
  const Tensor three = Tensor::empty(scores.shape());
  set_thread_count(1);
  cpu::softmax(scores, one);
  set_thread_count(3);
  cpu::softmax(scores, three);
  set_thread_count(before);
  EXPECT_EQ(std::memcmp(one.raw(), three.raw(), static_cast<size_t>(one.bytes())), 0);
}

TEST(Softmax, BackwardMatchesDifferences) {
  const Tensor scores = random_tensor({3, 5}, DType::f64, 1);
  const Tensor losses = Tensor::empty({3}, DType::f64);
  const Tensor hard = tensor_with({3}, DType::i32, {4, 0, 2});
  const Tensor soft = random_tensor({3, 5}, DType::f64, 2);
  for (const Tensor& targets : {hard, soft}) {
    const Tensor grad = Tensor::empty({3, 5}, DType::f64);
    cpu::cross_entropy_backward(scores, targets, 0.5, grad);
    const Tensor wanted = testing::numeric_gradient(scores, [&] {
      cpu::cross_entropy(scores, targets, losses);
      return 0.5 * total(losses);
    });
    expect_near(grad, wanted, 1e-9);
  }
}

TEST(Softmax, SmoothedTargetsAgreeWithLabels) {
  const Tensor labels = tensor_with({2}, DType::i32, {1, 3});
  const Tensor targets = Tensor::empty({2, 4}, DType::f64);
  cpu::soft_targets(labels, 0.05, targets);
  expect_near(targets,
              tensor_with({2, 4}, DType::f64,
                          {0.0125, 0.9625, 0.0125, 0.0125, 0.0125, 0.0125, 0.0125, 0.9625}),
              1e-15);
  cpu::soft_targets(labels, 0.0, targets);
  const Tensor scores = random_tensor({2, 4}, DType::f64, 3);
  const Tensor a = Tensor::empty({2}, DType::f64);
  const Tensor b = Tensor::empty({2}, DType::f64);
  cpu::cross_entropy(scores, labels, a);
  cpu::cross_entropy(scores, targets, b);
  expect_near(a, b, 1e-14);
}

TEST(Softmax, ArgmaxAndTopK) {
  const double nan = std::nan("");
  const Tensor scores = tensor_with({4, 3}, DType::f32, {3, 2, 1, 5, 5, 5, 1, 2, 3, nan, 1, 0});
  const Tensor best = Tensor::empty({4}, DType::i32);
  cpu::argmax(scores, best);
  EXPECT_EQ(value_at(best, 0), 0);
  EXPECT_EQ(value_at(best, 1), 0);
  EXPECT_EQ(value_at(best, 2), 2);
  const Tensor labels = tensor_with({4}, DType::i32, {1, 2, 0, 0});
  EXPECT_EQ(count_top_k(scores, labels, 1), 0);
  EXPECT_EQ(count_top_k(scores, labels, 2), 1);
  EXPECT_EQ(count_top_k(scores, labels, 3), 3);
  EXPECT_EQ(count_top_k(scores, labels, 100), 3);
}

TEST(Softmax, RefusesWrongArguments) {
  const Tensor scores = Tensor::zeros({2, 3});
  const Tensor losses = Tensor::zeros({2}, DType::f64);
  for (const double bad : {-1.0, 3.0})
    expect_error(ErrorKind::data, "expected 0 to 2", [&] {
      cpu::cross_entropy(scores, tensor_with({2}, DType::i32, {0, bad}), losses);
    });
  expect_error(ErrorKind::data, "soft_targets: label 7 of sample 1", [&] {
    cpu::soft_targets(tensor_with({2}, DType::i32, {0, 7}), 0.1, scores);
  });
  expect_error(ErrorKind::usage, "smoothing from 0 to 1", [&] {
    cpu::soft_targets(tensor_with({2}, DType::i32, {0, 1}), 1.5, scores);
  });
  const Tensor labels = tensor_with({2}, DType::i32, {0, 1});
  expect_error(ErrorKind::usage, "count_top_k: expected k of at least 1, got 0",
               [&] { count_top_k(scores, labels, 0); });
  expect_error(ErrorKind::usage, "count_top_k: expected count of shape [1], got [2]",
               [&] { cpu::count_top_k(scores, labels, 1, losses); });
  expect_error(ErrorKind::usage, "non-empty scores", [] {
    cpu::softmax(Tensor::empty({0, 3}), Tensor::empty({0, 3}));
  });
}

}  // namespace
}  // namespace pal
