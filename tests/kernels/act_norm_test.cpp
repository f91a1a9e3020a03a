#include "kernels/act_norm.h"

#include <gtest/gtest.h>

#include "autograd/gradient_check.h"
#include "runtime/parallel.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::pitched_copy;
using testing::pitched_tensor;
using testing::random_tensor;
using testing::tensor_with;
using testing::values_of;

const Shape kShapes[] = {{1, 1}, {3, 7}, {2, 3, 5, 17}, {4, 600}};

TEST(ActNormKernel, HandValues) {
  const Tensor x = tensor_with({2, 2}, DType::f32, {1, 2, 3, 4});
  const Tensor scale = tensor_with({2}, DType::f32, {2, -1});
  const Tensor offset = tensor_with({2}, DType::f32, {0.5, 10});
  const Tensor y = Tensor::empty({2, 2});
  cpu::act_norm_forward(x, scale, offset, y);
  EXPECT_EQ(values_of(y), (std::vector<double>{2.5, 8, 6.5, 6}));
  cpu::act_norm_inverse(y, scale, offset, y);
  EXPECT_EQ(values_of(y), values_of(x));
}

TEST(ActNormKernel, GradientsAgreeWithFiniteDifferences) {
  for (const Shape& shape : kShapes)
    for (const bool pitched : {false, true}) {
      Tensor x = random_tensor(shape, DType::f64, 1);
      if (pitched) x = pitched_copy(x);
      const Tensor scale = random_tensor({shape.last()}, DType::f64, 2);
      const Tensor offset = random_tensor({shape.last()}, DType::f64, 3);
      const Tensor grad_y = random_tensor(shape, DType::f64, 4);
      const Tensor y =
          pitched ? pitched_tensor(shape, DType::f64) : Tensor::empty(shape, DType::f64);
      const Tensor grad_x = Tensor::zeros(shape, DType::f64);
      const Tensor grad_scale = Tensor::zeros({shape.last()}, DType::f64);
      const Tensor grad_offset = Tensor::zeros({shape.last()}, DType::f64);
      const GradientReport report = check_gradients(
          [&] {
            cpu::act_norm_forward(x, scale, offset, y);
            return testing::inner(y, grad_y);
          },
          [&] { cpu::act_norm_backward(x, grad_y, scale, grad_x, grad_scale, grad_offset); },
          {{"x", x, grad_x}, {"scale", scale, grad_scale}, {"offset", offset, grad_offset}},
          {.most_entries = 100});
      EXPECT_LT(report.worst, 1e-7) << shape.str() << " " << report.text();
      // Without grad_x the sums are added once more.
      const auto once = values_of(grad_scale);
      cpu::act_norm_backward(x, grad_y, scale, {}, grad_scale, grad_offset);
      for (size_t i = 0; i < once.size(); ++i)
        EXPECT_NEAR(values_of(grad_scale)[i], 2 * once[i], 1e-12);
    }
}

TEST(ActNormKernel, ThreadsDoNotChangeABit) {
  const Tensor x = random_tensor({50, 1500}, DType::f32, 1);
  const Tensor scale = random_tensor({1500}, DType::f32, 2);
  const auto run = [&](int threads) {
    set_thread_count(threads);
    const Tensor y = Tensor::empty(x.shape());
    const Tensor sums = Tensor::zeros({1500}, DType::f64);
    cpu::act_norm_forward(x, scale, scale, y);
    cpu::act_norm_backward(x, y, scale, {}, sums, sums);
    return std::pair{values_of(y), values_of(sums)};
  };
  const auto one = run(1);
  EXPECT_EQ(run(2), one);
  EXPECT_EQ(run(5), one);
  set_thread_count(2);
}

TEST(ActNormKernel, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({2, 3});
  const Tensor three = Tensor::zeros({3});
  expect_error(ErrorKind::usage, "at least one row, got [0, 3]", [&] {
    cpu::act_norm_forward(Tensor::zeros({0, 3}), three, three, Tensor::zeros({0, 3}));
  });
  expect_error(ErrorKind::usage, "expected scale of shape [3], got [2]",
               [&] { cpu::act_norm_forward(x, Tensor::zeros({2}), three, x); });
  expect_error(ErrorKind::usage, "expected y of shape [2, 3]", [&] {
    cpu::act_norm_forward(x, three, three, Tensor::zeros({2, 4}));
  });
  expect_error(ErrorKind::usage, "expected grad_scale in f64",
               [&] { cpu::act_norm_backward(x, x, three, {}, three, three); });
}

}  // namespace
}  // namespace pal
