#include "kernels/arrays/elementwise.h"

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
using test::on_gpu;
using testing::expect_error;
using testing::random_tensor;
using testing::tensor_with;

struct Place {
  int64_t begin, after;
};
// Dense; any alignment and pitch; a pitch of whole accesses.
constexpr Place kPlaces[] = {{0, 0}, {1, 2}, {8, 8}};

const Shape kShapes[] = {{1}, {1, 1, 1, 1}, {2, 3, 5, 17}, {3, 5, 7, 8}, {13, 1009}};

/// Calls body(shape, place of the inputs, place of the output, text).
template <typename Body>
void for_each_case(Body&& body) {
  for (const Shape& shape : kShapes)
    for (const Place from : kPlaces)
      for (const Place to : kPlaces)
        body(shape, from, to,
             shape.str() + " from channel " + std::to_string(from.begin) + " to " +
                 std::to_string(to.begin));
}

TEST(ElementwiseCuda, AddIntoAndAxpyFollowTheCpu) {
  const std::pair<DType, DType> pairs[] = {{DType::f32, DType::f32},
                                           {DType::f64, DType::f64},
                                           {DType::bf16, DType::f32},
                                           {DType::bf16, DType::bf16}};
  for (const auto& [from_type, to_type] : pairs)
    for_each_case([&, from_dtype = from_type, to_dtype = to_type](
                      const Shape& shape, Place from, Place to, const std::string& what) {
      const Tensor source = random_tensor(shape, from_dtype, 1);
      const Tensor target = random_tensor(shape, to_dtype, 2);
      const GuardedOutput output(shape, to_dtype, to.begin, to.after);
      output.slice().copy_from(target);
      cpu::add_into(source, target);
      cuda::add_into(gpu_slice(source, from.begin, from.after), output.slice());
      output.expect_written(target, "add_into " + what);
      cpu::axpy(-0.3, source, target);
      cuda::axpy(-0.3, gpu_slice(source, from.begin, from.after), output.slice());
      // A product and a sum are rounded together or one by one.
      test::expect_close(target, output.slice(), test::tolerance_of(to_dtype), "axpy " + what);
      output.expect_kept("axpy " + what);
    });
}

TEST(ElementwiseCuda, ScaleAndReluGiveTheBitsOfTheCpu) {
  for (const DType dtype : {DType::f32, DType::bf16})
    for_each_case([&](const Shape& shape, Place from, Place to, const std::string& what) {
      const Tensor x = random_tensor(shape, dtype, 3);
      const Tensor y = Tensor::empty(shape, dtype);
      const GuardedOutput output(shape, dtype, to.begin, to.after);
      cpu::relu_forward(x, y);
      cuda::relu_forward(gpu_slice(x, from.begin, from.after), output.slice());
      output.expect_written(y, "relu_forward " + what);

      const Tensor grad = random_tensor(shape, dtype, 4);
      const Tensor device_grad = gpu_slice(grad, from.begin, from.after);
      const Tensor device_y = gpu_slice(y, to.begin, to.after);
      cpu::relu_backward(y, grad, grad);
      cuda::relu_backward(device_y, device_grad, output.slice());
      output.expect_written(grad, "relu_backward " + what);
      cuda::relu_backward(device_y, device_grad, device_grad);
      test::expect_same(grad, device_grad, "relu_backward in place " + what);

      cpu::scale(grad, -1.7);
      cuda::scale(output.slice(), -1.7);
      output.expect_written(grad, "scale " + what);
    });
}

TEST(ElementwiseCuda, AddReluGivesTheBitsOfTheCpu) {
  for (const DType dtype : {DType::f32, DType::bf16})
    for_each_case([&](const Shape& shape, Place from, Place to, const std::string& what) {
      const Tensor source = random_tensor(shape, dtype, 3);
      const Tensor target = random_tensor(shape, dtype, 4);
      const GuardedOutput output(shape, dtype, to.begin, to.after);
      output.slice().copy_from(target);
      cpu::add_relu(source, target);
      cuda::add_relu(gpu_slice(source, from.begin, from.after), output.slice());
      output.expect_written(target, "add_relu " + what);
    });
}

TEST(ElementwiseCuda, CopyConvertRoundsOnce) {
  const Shape shape{5, 37};
  for (const DType from : {DType::f32, DType::f64, DType::bf16})
    for (const DType to : {DType::f32, DType::f64, DType::bf16})
      for (const Place place : kPlaces) {
        const Tensor source = random_tensor(shape, from, 5);
        const GuardedOutput output(shape, to, place.begin, place.after);
        cuda::copy_convert(on_gpu(source), output.slice());
        output.expect_written(source.to(to), std::string(name_of(from)) + " to " + name_of(to));
      }
}

TEST(ElementwiseCuda, PartsOfFlatBuffersOfAnyAlignment) {
  constexpr int64_t kCount = 4103;
  for (const auto& [from, to] :
       {std::pair(0, 0), std::pair(1, 1), std::pair(3, 3), std::pair(1, 2), std::pair(0, 3)}) {
    const Tensor source = random_tensor({kCount + 8}, DType::f32, 6);
    const Tensor target = random_tensor({kCount + 8}, DType::f32, 7);
    const Tensor device_target = on_gpu(target);
    cpu::add_into(source.view_at(from, {kCount}), target.view_at(to, {kCount}));
    cuda::add_into(on_gpu(source).view_at(from, {kCount}), device_target.view_at(to, {kCount}));
    test::expect_same(target, device_target, std::to_string(from) + " " + std::to_string(to));
  }
}

TEST(ElementwiseCuda, SpecialValues) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensor x = tensor_with({6}, dtype, {nan, -infinity, infinity, -0.0, -1, nan});
    const Tensor device_x = on_gpu(x);
    const Tensor grad = tensor_with({6}, dtype, {1, 2, 3, 4, 5, nan});
    const Tensor device_grad = on_gpu(grad);
    cpu::relu_forward(x, x);
    cuda::relu_forward(device_x, device_x);
    test::expect_close(x, device_x, 0.0, "relu");
    EXPECT_TRUE(std::isnan(testing::value_at(test::on_cpu(device_x), 0)));
    cpu::relu_backward(x, grad, grad);
    cuda::relu_backward(device_x, device_grad, device_grad);
    test::expect_close(grad, device_grad, 0.0, "gradient");
    const Tensor other =
        Tensor::empty({6}, dtype == DType::f32 ? DType::bf16 : DType::f32, Tag::data, gpu());
    cuda::copy_convert(device_x, other);
    test::expect_close(x.to(other.dtype()), other, 0.0, "converted");
  }
}

TEST(ElementwiseCuda, AddScalarAddsToEverySample) {
  for (const int64_t count : {0, 1, 5, 1500}) {
    const Tensor target = random_tensor({count}, DType::f64, 8);
    const Tensor device_target = on_gpu(target);
    const Tensor value = tensor_with({1}, DType::f64, {0.7});
    cpu::add_scalar(target, -3.0, value);
    cpu::add_scalar(target, 0.1, {});
    cuda::add_scalar(device_target, -3.0, on_gpu(value));
    cuda::add_scalar(device_target, 0.1, {});
    if (count > 0) test::expect_close(target, device_target, 1e-15, std::to_string(count));
  }
}

TEST(ElementwiseCuda, SchedulesGiveTheSameBits) {
  const Tensor source = on_gpu(random_tensor({41, 203}, DType::f32, 9));
  const Tensor start = gpu_slice(random_tensor({41, 203}, DType::f32, 10), 1, 0);
  test::run_schedules([&] {
    const Tensor dense = Tensor::zeros({41, 203}, DType::f32, Tag::data, gpu());
    const Tensor slice = gpu_slice(test::on_cpu(start), 3, 2);
    cuda::axpy(0.3, source, dense);
    cuda::axpy(0.7, source, slice);
    cuda::relu_forward(slice, slice);
    return std::vector<Tensor>{dense, slice};
  });
}

TEST(ElementwiseCuda, RefusesWrongArguments) {
  const auto zeros = [](const Shape& shape, DType dtype = DType::f32) {
    return Tensor::zeros(shape, dtype, Tag::data, gpu());
  };
  const Tensor a = zeros({2, 3});
  expect_error(ErrorKind::usage, "add_into: expected source of shape [2, 3], got [3, 2]", [&] {
    cuda::add_into(zeros({3, 2}), a);
  });
  expect_error(ErrorKind::usage, "add_into: expected source in bf16, got f32", [&] {
    cuda::add_into(a, zeros({2, 3}, DType::bf16));
  });
  expect_error(ErrorKind::usage, "scale: expected f32 or f64, got i32",
               [&] { cuda::scale(zeros({2}, DType::i32), 1.0); });
  expect_error(ErrorKind::usage, "add_scalar: expected target in f64",
               [&] { cuda::add_scalar(zeros({2}), 1.0, {}); });
  const Tensor wide = zeros({2, 3}, DType::f64);
  expect_error(ErrorKind::usage, "relu_forward: f64 streams are for the CPU backend",
               [&] { cuda::relu_forward(wide, wide); });
  const Tensor none = zeros({0, 4});
  EXPECT_NO_THROW(cuda::add_into(none, none));
  EXPECT_NO_THROW(cuda::relu_forward(none, none));
}

}  // namespace
}  // namespace pal
