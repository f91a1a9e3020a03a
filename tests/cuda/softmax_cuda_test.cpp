#include "kernels/loss/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/cuda/guarded_output.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using test::gpu;
using test::gpu_slice;
using test::GuardedOutput;
using test::on_cpu;
using test::on_gpu;
using testing::expect_error;
using testing::random_tensor;
using testing::tensor_with;
using testing::value_at;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

const Shape kShapes[] = {{1, 1}, {1, 1000}, {7, 3}, {9, 129}, {5, 300}};

Tensor labels_for(const Shape& shape) {
  const Tensor labels = Tensor::empty({shape[0]}, DType::i32);
  for (int64_t n = 0; n < shape[0]; ++n)
    labels.data<int32_t>()[n] = static_cast<int32_t>((37 * n + 2) % shape[1]);
  return labels;
}

Tensor empty_on_gpu(const Shape& shape, DType dtype) {
  return Tensor::empty(shape, dtype, Tag::data, gpu());
}

TEST(SoftmaxCuda, RowsFollowTheCpu) {
  for (const Shape& shape : kShapes)
    for (const int64_t begin : {0, 1, 4}) {
      const std::string what = shape.str() + " from channel " + std::to_string(begin);
      const Tensor scores = random_tensor(shape, DType::f32, 1, 20.0);
      const Tensor device_scores = gpu_slice(scores, begin, 2 * begin);
      const Tensor wanted = Tensor::empty(shape);
      const GuardedOutput output(shape, DType::f32, begin, begin);

      cpu::softmax(scores, wanted);
      cuda::softmax(device_scores, output.slice());
      test::expect_close(wanted, output.slice(), 1e-7, "softmax " + what);

      const Tensor labels = labels_for(shape);
      const Tensor soft = random_tensor(shape, DType::f32, 2);
      for (const Tensor& targets : {labels, soft}) {
        const Tensor device_targets =
            targets.dtype() == DType::i32 ? on_gpu(targets) : gpu_slice(targets, 1, 0);
        const Tensor losses = Tensor::empty({shape[0]}, DType::f64);
        const Tensor device_losses = empty_on_gpu({shape[0]}, DType::f64);
        cpu::cross_entropy(scores, targets, losses);
        cuda::cross_entropy(device_scores, device_targets, device_losses);
        test::expect_close(losses, device_losses, 1e-12, "cross_entropy " + what);
        cpu::cross_entropy_backward(scores, targets, 0.3, wanted);
        cuda::cross_entropy_backward(device_scores, device_targets, 0.3, output.slice());
        test::expect_close(wanted, output.slice(), 1e-7, "cross_entropy_backward " + what);
      }

      cpu::soft_targets(labels, 0.1, wanted);
      cuda::soft_targets(on_gpu(labels), 0.1, output.slice());
      output.expect_written(wanted, "soft_targets " + what);

      const Tensor best = Tensor::empty({shape[0]}, DType::i32);
      const Tensor device_best = empty_on_gpu({shape[0]}, DType::i32);
      cpu::argmax(scores, best);
      cuda::argmax(device_scores, device_best);
      test::expect_same(best, device_best, "argmax " + what);

      for (const int64_t k : {1, 2, 50}) {
        const Tensor count = Tensor::empty({1}, DType::f64);
        const Tensor device_count = empty_on_gpu({1}, DType::f64);
        cpu::count_top_k(scores, labels, k, count);
        cuda::count_top_k(device_scores, on_gpu(labels), k, device_count);
        test::expect_same(count, device_count, "count_top_k " + what);
      }
    }
}

TEST(SoftmaxCuda, LargestScoresWithTiesAndBrokenValues) {
  const Tensor scores = tensor_with(
      {8, 4}, DType::f32, {3,    2,    1,    0,    5,          5,          5,          5,
                           1,    7,    7,    2,    kNaN,       1,          9,          0,
                           1,    kNaN, 3,    kNaN, -kInfinity, -kInfinity, -kInfinity, -kInfinity,
                           kNaN, kNaN, kNaN, kNaN, 1,          kInfinity,  -kInfinity, kInfinity});
  const Tensor best = Tensor::empty({8}, DType::i32);
  const Tensor device_best = empty_on_gpu({8}, DType::i32);
  cpu::argmax(scores, best);
  cuda::argmax(on_gpu(scores), device_best);
  test::expect_same(best, device_best, "argmax");
  for (const double label : {0, 1, 2, 3})
    for (const int64_t k : {1, 2, 4}) {
      const Tensor labels = Tensor::empty({8}, DType::i32);
      labels.fill(label);
      const Tensor count = Tensor::empty({1}, DType::f64);
      const Tensor device_count = empty_on_gpu({1}, DType::f64);
      cpu::count_top_k(scores, labels, k, count);
      cuda::count_top_k(on_gpu(scores), on_gpu(labels), k, device_count);
      test::expect_same(count, device_count, std::to_string(label));
    }
  // Infinities and NaN in the sums as well.
  const Tensor labels = labels_for({8, 4});
  const Tensor losses = Tensor::empty({8}, DType::f64);
  const Tensor device_losses = empty_on_gpu({8}, DType::f64);
  cpu::cross_entropy(scores, labels, losses);
  cuda::cross_entropy(on_gpu(scores), on_gpu(labels), device_losses);
  test::expect_close(losses, device_losses, 1e-12, "losses");
  const Tensor in_place = on_gpu(scores);
  cpu::softmax(scores, scores);
  cuda::softmax(in_place, in_place);
  test::expect_close(scores, in_place, 1e-7, "softmax");
}

TEST(SoftmaxCuda, ALabelOutsideBelongsToNoClass) {
  const Tensor scores = on_gpu(random_tensor({3, 5}, DType::f32, 3));
  const Tensor labels = on_gpu(tensor_with({3}, DType::i32, {-1, 4, 5}));
  const Tensor grid = empty_on_gpu({3, 5}, DType::f32);
  cuda::soft_targets(labels, 0.1, grid);
  const Tensor targets = on_cpu(grid).clone();
  for (int64_t i = 0; i < 15; ++i)
    EXPECT_FLOAT_EQ(targets.data<float>()[i], i == 9 ? 0.92F : 0.02F) << i;
  const Tensor losses = empty_on_gpu({3}, DType::f64);
  cuda::cross_entropy(scores, labels, losses);
  EXPECT_EQ(losses.item(0), 0.0);
  EXPECT_GT(losses.item(1), 0.0);
  EXPECT_EQ(losses.item(2), 0.0);
  cuda::cross_entropy_backward(scores, labels, 1.0, grid);
  const Tensor grad = on_cpu(grid);
  for (int64_t i = 0; i < 15; ++i) EXPECT_EQ(grad.data<float>()[i] == 0.0F, i / 5 != 1) << i;
  const Tensor count = empty_on_gpu({1}, DType::f64);
  cuda::count_top_k(scores, labels, 5, count);
  EXPECT_EQ(count.item(), 1.0);
}

TEST(SoftmaxCuda, SchedulesGiveTheSameBits) {
  const Tensor scores = on_gpu(random_tensor({9, 131}, DType::f32, 4));
  const Tensor soft = on_gpu(random_tensor({9, 131}, DType::f32, 5));
  const Tensor labels = on_gpu(labels_for({9, 131}));
  test::run_schedules([&] {
    const Tensor q = empty_on_gpu({9, 131}, DType::f32);
    const Tensor grad = empty_on_gpu({9, 131}, DType::f32);
    const Tensor losses = empty_on_gpu({9}, DType::f64);
    const Tensor best = empty_on_gpu({9}, DType::i32);
    const Tensor count = empty_on_gpu({1}, DType::f64);
    cuda::softmax(scores, q);
    cuda::cross_entropy(scores, soft, losses);
    cuda::cross_entropy_backward(scores, soft, 0.1, grad);
    cuda::argmax(scores, best);
    cuda::count_top_k(scores, labels, 40, count);
    return std::vector<Tensor>{q, grad, losses, best, count};
  });
}

TEST(SoftmaxCuda, RefusesWrongArguments) {
  const auto zeros = [](const Shape& shape, DType dtype = DType::f32) {
    return Tensor::zeros(shape, dtype, Tag::data, gpu());
  };
  const Tensor scores = zeros({2, 3});
  const Tensor labels = zeros({2}, DType::i32);
  expect_error(ErrorKind::usage, "softmax: expected a non-empty scores", [&] {
    cuda::softmax(zeros({0, 3}), zeros({0, 3}));
  });
  expect_error(ErrorKind::usage, "softmax: f64 streams are for the CPU backend", [&] {
    cuda::softmax(zeros({2, 3}, DType::f64), zeros({2, 3}, DType::f64));
  });
  expect_error(ErrorKind::usage, "cross_entropy: expected labels of shape [2], got [3]", [&] {
    cuda::cross_entropy(scores, zeros({3}, DType::i32), zeros({2}, DType::f64));
  });
  expect_error(ErrorKind::usage, "smoothing from 0 to 1",
               [&] { cuda::soft_targets(labels, 1.5, scores); });
  expect_error(ErrorKind::usage, "count_top_k: expected k of at least 1, got 0",
               [&] { cuda::count_top_k(scores, labels, 0, zeros({1}, DType::f64)); });
  expect_error(ErrorKind::usage, "argmax: expected labels in i32, got f32",
               [&] { cuda::argmax(scores, zeros({2})); });
}

}  // namespace
}  // namespace pal
