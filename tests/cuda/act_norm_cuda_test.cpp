#include <gtest/gtest.h>

#include <cmath>

#include "kernels/coupling/act_norm.h"
#include "tests/cuda/parity.h"

namespace pal::test {
namespace {

using testing::expect_error;
using testing::set_value;
using testing::tensor_with;
using testing::value_at;

const Shape kShapes[] = {{1, 1},        {2, 3},          {7, 64},        {1, 257}, {1013, 1},
                         {3, 5, 67, 6}, {2, 23, 22, 24}, {1, 3, 7, 130}, {11, 257}};

struct Around {
  int64_t begin;
  int64_t after;
};
constexpr Around kArounds[] = {{0, 0}, {1, 2}, {2, 4}, {4, 8}};

Tensor place(const Tensor& values, const Around& around) {
  return around.begin + around.after > 0 ? gpu_slice(values, around.begin, around.after)
                                         : on_gpu(values);
}

Tensor filled(const Shape& shape, DType dtype, double value, Device device) {
  const Tensor t = Tensor::empty(shape, dtype, Tag::data, device);
  t.fill(value);
  return t;
}

std::string text(const Shape& shape, const Around& around) {
  return shape.str() + " slice " + std::to_string(around.begin) + "+" +
         std::to_string(around.after);
}

struct Case {
  explicit Case(const Shape& shape) {
    x = random_tensor(shape, DType::f32, 1);
    grad_y = random_tensor(shape, DType::f32, 2);
    scale = random_tensor({shape.last()}, DType::f32, 3, 0.1);
    offset = random_tensor({shape.last()}, DType::f32, 4);
    for (int64_t c = 0; c < scale.numel(); ++c) scale.data<float>()[c] += 1.0F;
  }
  Tensor x, grad_y, scale, offset;
};

TEST(ActNormCuda, ForwardAndInverse) {
  for (const Shape& shape : kShapes) {
    const Case c(shape);
    const Tensor y = Tensor::empty(shape);
    const Tensor x = Tensor::empty(shape);
    cpu::act_norm_forward(c.x, c.scale, c.offset, y);
    cpu::act_norm_inverse(c.x, c.scale, c.offset, x);
    for (const Around& around : kArounds) {
      const Tensor from = place(c.x, around);
      const Tensor to = place(filled(shape, DType::f32, 77.0, Device()), around);
      cuda::act_norm_forward(from, on_gpu(c.scale), on_gpu(c.offset), to);
      expect_close(y, to, 1e-6, text(shape, around) + " forward");
      cuda::act_norm_inverse(from, on_gpu(c.scale), on_gpu(c.offset), to);
      expect_close(x, to, 1e-6, text(shape, around) + " inverse");
      // In place.
      cuda::act_norm_forward(from, on_gpu(c.scale), on_gpu(c.offset), from);
      expect_close(y, from, 1e-6, text(shape, around) + " in place");
    }
  }
}

TEST(ActNormCuda, Backward) {
  for (const Shape& shape : kShapes) {
    const Case c(shape);
    const int64_t channels = shape.last();
    const Tensor grad_x = Tensor::empty(shape);
    const Tensor grad_scale = filled({channels}, DType::f64, 0.5, Device());
    const Tensor grad_offset = filled({channels}, DType::f64, 0.25, Device());
    cpu::act_norm_backward(c.x, c.grad_y, c.scale, grad_x, grad_scale, grad_offset);
    for (const Around& around : kArounds) {
      const Tensor found_x = place(filled(shape, DType::f32, 77.0, Device()), around);
      const Tensor found_scale = filled({channels}, DType::f64, 0.5, gpu());
      const Tensor found_offset = filled({channels}, DType::f64, 0.25, gpu());
      cuda::act_norm_backward(place(c.x, around), place(c.grad_y, around), on_gpu(c.scale), found_x,
                              found_scale, found_offset);
      expect_close(grad_x, found_x, 1e-6, text(shape, around) + " x");
      // Sums of float products.
      expect_close(grad_scale, found_scale, 1e-6, text(shape, around) + " scale");
      expect_close(grad_offset, found_offset, 1e-6, text(shape, around) + " offset");
      const Tensor again_scale = filled({channels}, DType::f64, 0.5, gpu());
      const Tensor again_offset = filled({channels}, DType::f64, 0.25, gpu());
      cuda::act_norm_backward(place(c.x, around), place(c.grad_y, around), on_gpu(c.scale), {},
                              again_scale, again_offset);
      expect_same(found_scale, again_scale, text(shape, around) + " scale without x");
      expect_same(found_offset, again_offset, text(shape, around) + " offset without x");
    }
  }
}

constexpr ActNormKind kKinds[] = {ActNormKind::softplus, ActNormKind::paper, ActNormKind::sigmoid,
                                  ActNormKind::exponential};

TEST(ActNormCuda, Scales) {
  for (const ActNormKind kind : kKinds)
    for (const int64_t channels : {1, 7, 300}) {
      const Tensor gamma = random_tensor({channels}, DType::f32, 1, 3.0);
      const Tensor scale = Tensor::empty({channels});
      const Tensor sum = Tensor::empty({1}, DType::f64);
      cpu::act_norm_scale(gamma, kind, scale, sum);
      const Tensor found = filled({channels}, DType::f32, 77.0, gpu());
      const Tensor found_sum = filled({1}, DType::f64, 77.0, gpu());
      cuda::act_norm_scale(on_gpu(gamma), kind, found, found_sum);
      expect_close(scale, found, 1e-6, "scale");
      expect_close(sum, found_sum, 1e-12, "sum of logarithms");
    }
}

TEST(ActNormCuda, ScalesThatAreNotPositiveAreSeen) {
  for (const double gamma : {-200.0, 100.0, std::nan("")}) {
    const Tensor scale = filled({2}, DType::f32, 0.0, gpu());
    const Tensor sum = filled({1}, DType::f64, 0.0, gpu());
    cuda::act_norm_scale(on_gpu(tensor_with({2}, DType::f32, {0, gamma})), ActNormKind::exponential,
                         scale, sum);
    EXPECT_FALSE(std::isfinite(sum.item())) << gamma;
  }
}

TEST(ActNormCuda, ScalesOfSeveralAtOnce) {
  // Gammas of 3, 1 and 700 channels in a buffer with gaps; scales in another order.
  const Tensor values = random_tensor({900}, DType::f32, 1, 3.0);
  const Tensor segments = Tensor::empty({3, 3}, DType::i32);
  const int32_t numbers[] = {5, 700, 3, 8, 703, 1, 100, 0, 700};
  std::copy(std::begin(numbers), std::end(numbers), segments.data<int32_t>());
  for (const ActNormKind kind : kKinds) {
    const Tensor scales = filled({704}, DType::f32, 7.0, Device());
    const Tensor sums = filled({3}, DType::f64, 7.0, Device());
    cpu::act_norm_scales(values, segments, kind, scales, sums);
    run_schedules([&] {
      const Tensor found = filled({704}, DType::f32, 7.0, gpu());
      const Tensor found_sums = filled({3}, DType::f64, 7.0, gpu());
      cuda::act_norm_scales(on_gpu(values), on_gpu(segments), kind, found, found_sums);
      expect_close(scales, found, 1e-6, "scales");
      expect_close(sums, found_sums, 1e-12, "sums of logarithms");
      return std::vector<Tensor>{found, found_sums};
    });
    const Tensor alone = Tensor::empty({700});
    const Tensor sum = Tensor::empty({1}, DType::f64);
    cpu::act_norm_scale(values.view_at(100, {700}), kind, alone, sum);
    expect_same(alone, scales.view_at(0, {700}), "scales of one");
    expect_same(sum, sums.view_at(2, {1}), "sum of one");
  }
}

TEST(ActNormCuda, ParameterGradients) {
  for (const ActNormKind kind : kKinds)
    for (const int64_t samples : {1, 5, 300})
      for (const int64_t channels : {1, 7, 300}) {
        const Tensor gamma = random_tensor({channels}, DType::f32, 1);
        const Tensor grad_scale = random_tensor({channels}, DType::f64, 2);
        const Tensor grad_offset = random_tensor({channels}, DType::f64, 3);
        const Tensor grad_log_det = random_tensor({samples}, DType::f64, 4);
        const Tensor grad_gamma = filled({channels}, DType::f32, 0.5, Device());
        const Tensor grad = filled({channels}, DType::f32, 0.25, Device());
        cpu::act_norm_parameters_backward(gamma, kind, grad_scale, grad_offset, grad_log_det, 9,
                                          grad_gamma, grad);
        const Tensor found_gamma = filled({channels}, DType::f32, 0.5, gpu());
        const Tensor found = filled({channels}, DType::f32, 0.25, gpu());
        cuda::act_norm_parameters_backward(on_gpu(gamma), kind, on_gpu(grad_scale),
                                           on_gpu(grad_offset), on_gpu(grad_log_det), 9,
                                           found_gamma, found);
        expect_close(grad_gamma, found_gamma, 1e-6, "gamma");
        expect_close(grad, found, 1e-6, "offset");
      }
}

TEST(ActNormCuda, SchedulesDoNotChangeABit) {
  for (const Shape& shape : {Shape{3, 5, 67, 6}, Shape{2, 20, 26, 24}, Shape{1, 3, 7, 257}}) {
    const Case c(shape);
    const int64_t channels = shape.last();
    run_schedules([&] {
      const Tensor x = on_gpu(c.x);
      const Tensor scale = on_gpu(c.scale);
      const Tensor y = filled(shape, DType::f32, 0.0, gpu());
      const Tensor grad_x = filled(shape, DType::f32, 0.0, gpu());
      const Tensor grad_scale = filled({channels}, DType::f64, 0.0, gpu());
      const Tensor grad_offset = filled({channels}, DType::f64, 0.0, gpu());
      cuda::act_norm_inverse(x, scale, on_gpu(c.offset), y);
      cuda::act_norm_backward(x, on_gpu(c.grad_y), scale, grad_x, grad_scale, grad_offset);
      const Tensor log_sum = filled({1}, DType::f64, 0.0, gpu());
      cuda::act_norm_scale(on_gpu(c.offset), ActNormKind::paper, scale, log_sum);
      const Tensor gradient = filled({channels}, DType::f32, 0.0, gpu());
      cuda::act_norm_parameters_backward(on_gpu(c.offset), ActNormKind::paper, grad_scale,
                                         grad_offset, grad_offset, 9, gradient, gradient.clone());
      return std::vector<Tensor>{y, grad_x, grad_scale, grad_offset, scale, log_sum, gradient};
    });
  }
}

TEST(ActNormCuda, RefusesWhatDoesNotFit) {
  const auto zeros = [](const Shape& shape, DType dtype = DType::f32) {
    return Tensor::zeros(shape, dtype, Tag::data, gpu());
  };
  const Tensor x = zeros({2, 3});
  const Tensor three = zeros({3});
  const Tensor wide = zeros({3}, DType::f64);
  expect_error(ErrorKind::usage, "act_norm_forward: expected at least one row, got [0, 3]", [&] {
    cuda::act_norm_forward(zeros({0, 3}), three, three, zeros({0, 3}));
  });
  expect_error(ErrorKind::usage, "expected scale of shape [3], got [2]",
               [&] { cuda::act_norm_inverse(x, zeros({2}), three, x); });
  expect_error(ErrorKind::usage, "expected grad_scale in f64",
               [&] { cuda::act_norm_backward(x, x, three, {}, three, three); });
  expect_error(ErrorKind::usage, "act_norm_forward: f64 streams are for the CPU backend", [&] {
    const Tensor xs = zeros({2, 3}, DType::f64);
    cuda::act_norm_forward(xs, wide, wide, xs);
  });
  expect_error(ErrorKind::usage, "act_norm_scale: f64 streams are for the CPU backend", [&] {
    cuda::act_norm_scale(wide, ActNormKind::paper, wide, zeros({1}, DType::f64));
  });
  expect_error(ErrorKind::usage, "expected grad_log_det in f64", [&] {
    cuda::act_norm_parameters_backward(three, ActNormKind::paper, wide, wide, three, 1, three,
                                       three);
  });
}

}  // namespace
}  // namespace pal::test
