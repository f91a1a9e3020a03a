#include "kernels/arrays/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

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

TEST(Elementwise, AddIntoCoversDtypesAndPitches) {
  const std::pair<DType, DType> pairs[] = {{DType::f32, DType::f32},
                                           {DType::f64, DType::f64},
                                           {DType::bf16, DType::f32},
                                           {DType::bf16, DType::bf16}};
  for (const auto& [from, to] : pairs)
    for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{2, 3, 5, 17}, Shape{3, 7, 7, 64}})
      for (const bool pitched : {false, true}) {
        Tensor source = random_tensor(shape, from, 1);
        Tensor target = random_tensor(shape, to, 2);
        const Tensor wanted = Tensor::empty(shape, DType::f64);
        for (int64_t i = 0; i < shape.numel(); ++i)
          wanted.data<double>()[i] = value_at(source, i) + value_at(target, i);
        if (pitched) source = pitched_copy(source), target = pitched_copy(target);
        cpu::add_into(source, target);
        // One rounding of a value below about 8.
        const double unit = to == DType::bf16 ? 0x1p-6 : to == DType::f32 ? 0x1p-22 : 1e-15;
        expect_near(target, wanted, unit);
      }
}

TEST(Elementwise, SlicesDoNotTouchTheirNeighbours) {
  const Tensor wide = Tensor::zeros({5, 9}, DType::f32);
  const Tensor ones = Tensor::empty({5, 4}, DType::f32);
  ones.fill(1.0);
  cpu::add_into(ones, wide.slice_channels(3, 4));
  cpu::scale(wide.slice_channels(3, 4), 2.0);
  for (int64_t i = 0; i < wide.numel(); ++i)
    EXPECT_EQ(value_at(wide, i), i % 9 >= 3 && i % 9 < 7 ? 2.0 : 0.0);
}

TEST(Elementwise, AxpyAndScale) {
  const Tensor x = tensor_with({3}, DType::f64, {1, -2, 4});
  const Tensor y = tensor_with({3}, DType::f64, {10, 20, 30});
  cpu::axpy(0.5, x, y);
  expect_near(y, tensor_with({3}, DType::f64, {10.5, 19, 32}), 0.0);
  cpu::scale(y, -2.0);
  expect_near(y, tensor_with({3}, DType::f64, {-21, -38, -64}), 0.0);
}

TEST(Elementwise, AddScalarAddsToEverySample) {
  const Tensor target = tensor_with({3}, DType::f64, {1, 2, 3});
  cpu::add_scalar(target, 0.5, {});
  expect_near(target, tensor_with({3}, DType::f64, {1.5, 2.5, 3.5}), 0.0);
  cpu::add_scalar(target, -2.0, tensor_with({1}, DType::f64, {0.25}));
  expect_near(target, tensor_with({3}, DType::f64, {1, 2, 3}), 0.0);
  EXPECT_NO_THROW(cpu::add_scalar(Tensor::empty({0}, DType::f64), 1.0, {}));
}

TEST(Elementwise, ReluForwardAndBackward) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    const Tensor x = tensor_with({1, 5}, dtype, {-1, 0, 2, -0.5, 3});
    const Tensor y = Tensor::empty(x.shape(), dtype);
    cpu::relu_forward(x, y);
    expect_near(y, tensor_with({1, 5}, dtype, {0, 0, 2, 0, 3}), 0.0);
    const Tensor grad = tensor_with({1, 5}, dtype, {1, 2, 3, 4, 5});
    cpu::relu_backward(y, grad, grad);
    expect_near(grad, tensor_with({1, 5}, dtype, {0, 0, 3, 0, 5}), 0.0);
  }
}

TEST(Elementwise, AddReluEndsAResidualBlock) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    const Tensor source = tensor_with({1, 5}, dtype, {-1, 2, 2, -0.5, 3});
    const Tensor target = tensor_with({1, 5}, dtype, {0.5, -2, 1, 2, -4});
    cpu::add_relu(source, target);
    expect_near(target, tensor_with({1, 5}, dtype, {0, 0, 3, 1.5, 0}), 0.0);
    // Slices, and the same bits as by the two steps that it joins.
    const Tensor a = pitched_copy(random_tensor({7, 19}, dtype, 3));
    const Tensor b = pitched_copy(random_tensor({7, 19}, dtype, 4));
    const Tensor wanted = b.clone();
    cpu::add_into(a, wanted);
    cpu::relu_forward(wanted, wanted);
    cpu::add_relu(a, b);
    expect_near(b, wanted, 0.0);
  }
  const Tensor broken = tensor_with({1}, DType::f32, {std::numeric_limits<double>::quiet_NaN()});
  cpu::add_relu(tensor_with({1}, DType::f32, {-1}), broken);
  EXPECT_TRUE(std::isnan(value_at(broken, 0)));
}

TEST(Elementwise, ReluKeepsNaN) {
  const Tensor x = tensor_with({2}, DType::f32, {std::numeric_limits<double>::quiet_NaN(), -1});
  cpu::relu_forward(x, x);
  EXPECT_TRUE(std::isnan(value_at(x, 0)));
  EXPECT_EQ(value_at(x, 1), 0.0);
}

TEST(Elementwise, CopyConvertRoundsOnce) {
  for (const DType from : {DType::f32, DType::f64, DType::bf16})
    for (const DType to : {DType::f32, DType::f64, DType::bf16}) {
      const Tensor source = pitched_copy(random_tensor({4, 19}, from, 3));
      const Tensor target = testing::pitched_tensor({4, 19}, to);
      cpu::copy_convert(source, target);
      expect_near(target, source.to(to), 0.0);
    }
}

TEST(Elementwise, EmptyTensorsAreNoWork) {
  const Tensor none = Tensor::empty({0, 4}, DType::f32);
  EXPECT_NO_THROW(cpu::add_into(none, none));
  EXPECT_NO_THROW(cpu::relu_forward(none, none));
  EXPECT_NO_THROW(cpu::add_relu(none, none));
}

TEST(Elementwise, RefusesWrongArguments) {
  const Tensor a = Tensor::zeros({2, 3}, DType::f32);
  expect_error(ErrorKind::usage, "add_into: expected source of shape [2, 3], got [3, 2]", [&] {
    cpu::add_into(Tensor::zeros({3, 2}, DType::f32), a);
  });
  expect_error(ErrorKind::usage, "add_into: expected source in bf16, got f32", [&] {
    cpu::add_into(a, Tensor::zeros({2, 3}, DType::bf16));
  });
  expect_error(ErrorKind::usage, "scale: expected f32 or f64, got i32",
               [&] { cpu::scale(Tensor::zeros({2}, DType::i32), 1.0); });
  expect_error(ErrorKind::usage, "relu_backward: expected grad_x", [&] {
    cpu::relu_backward(a, a, Tensor::zeros({2, 3}, DType::f64));
  });
  expect_error(ErrorKind::usage, "add_relu: expected source in f32, got bf16", [&] {
    cpu::add_relu(Tensor::zeros({2, 3}, DType::bf16), a);
  });
  const Tensor log_det = Tensor::zeros({2}, DType::f64);
  expect_error(ErrorKind::usage, "add_scalar: expected target in f64, got f32",
               [&] { cpu::add_scalar(Tensor::zeros({2}), 1.0, {}); });
  expect_error(ErrorKind::usage, "add_scalar: expected target of shape [6], got [2, 3]",
               [&] { cpu::add_scalar(a, 1.0, {}); });
  expect_error(ErrorKind::usage, "add_scalar: expected value of shape [1], got [2]",
               [&] { cpu::add_scalar(log_det, 1.0, log_det); });
}

TEST(Elementwise, ResultsDoNotDependOnThreads) {
  const Tensor source = random_tensor({3, 100, 101}, DType::f32, 5);
  const Tensor once = random_tensor(source.shape(), DType::f32, 6);
  const Tensor again = once.clone();
  set_thread_count(1);
  cpu::axpy(0.3, source, once);
  set_thread_count(3);
  cpu::axpy(0.3, source, again);
  set_thread_count(2);
  expect_near(once, again, 0.0);
}

}  // namespace
}  // namespace pal
