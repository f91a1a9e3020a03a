#include "kernels/resample/haar.h"

#include <gtest/gtest.h>

#include "tests/cuda/guarded_output.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using test::gpu;
using test::gpu_slice;
using test::GuardedOutput;
using test::on_gpu;
using testing::expect_error;

Shape coarse_of(const Shape& x) { return {x[0], x[1] / 2, x[2] / 2, 4 * x[3]}; }

struct Place {
  int64_t begin, after;
};

// The CPU rounds sums and products one by one as well, so the bits agree.
void expect_parity(const Shape& shape, Place from, Place to) {
  const std::string what = shape.str() + " from channel " + std::to_string(from.begin);
  const Tensor x = test::random_tensor(shape, DType::f32, 1);
  const Tensor y = Tensor::empty(coarse_of(shape));
  haar_forward(x, y, 0.7);
  const GuardedOutput forward(y.shape(), DType::f32, to.begin, to.after);
  haar_forward(gpu_slice(x, from.begin, from.after), forward.slice(), 0.7);
  forward.expect_written(y, "forward " + what);

  const Tensor grad_y = test::random_tensor(y.shape(), DType::f32, 2);
  const Tensor device_grad_y = gpu_slice(grad_y, from.begin, from.after);
  const Tensor wanted = Tensor::empty(shape);
  haar_backward(grad_y, wanted, 0.7);
  const GuardedOutput backward(shape, DType::f32, to.begin, to.after);
  haar_backward(device_grad_y, backward.slice(), 0.7);
  backward.expect_written(wanted, "backward " + what);

  haar_inverse(grad_y, wanted, 0.7);
  const GuardedOutput inverse(shape, DType::f32, to.begin, to.after);
  haar_inverse(device_grad_y, inverse.slice(), 0.7);
  inverse.expect_written(wanted, "inverse " + what);
}

TEST(HaarCuda, GivesTheBitsOfTheCpu) {
  for (const Shape& shape : {Shape{1, 2, 2, 1}, Shape{3, 6, 10, 3}, Shape{2, 14, 2, 17},
                             Shape{2, 4, 6, 4}, Shape{5, 8, 6, 12}})
    for (const Place from : {Place{0, 0}, Place{1, 2}, Place{4, 8}})
      for (const Place to : {Place{0, 0}, Place{3, 0}, Place{8, 4}}) expect_parity(shape, from, to);
}

TEST(HaarCuda, SchedulesGiveTheSameBits) {
  for (const Shape& shape : {Shape{2, 28, 28, 3}, Shape{3, 14, 14, 8}}) {
    const Tensor x = on_gpu(test::random_tensor(shape, DType::f32, 3));
    const auto results = test::run_schedules([&] {
      const Tensor y = Tensor::empty(coarse_of(shape), DType::f32, Tag::data, gpu());
      const Tensor back = Tensor::empty(shape, DType::f32, Tag::data, gpu());
      haar_forward(x, y, 0.5);
      haar_inverse(y, back, 0.5);
      return std::vector<Tensor>{y, back};
    });
    // Four roundings of values below about 10.
    test::expect_close(x, results[1], 1e-6, "round trip " + shape.str());
  }
}

TEST(HaarCuda, RefusesWrongArguments) {
  const auto zeros = [](const Shape& shape, DType dtype = DType::f32) {
    return Tensor::zeros(shape, dtype, Tag::data, gpu());
  };
  expect_error(ErrorKind::usage, "haar_forward: expected an even height and width", [&] {
    haar_forward(zeros({1, 3, 2, 1}), zeros({1, 1, 1, 4}), 0.5);
  });
  expect_error(ErrorKind::usage, "of shape [1, 1, 1, 4], got [1, 1, 1, 3]", [&] {
    haar_inverse(zeros({1, 1, 1, 3}), zeros({1, 2, 2, 1}), 0.5);
  });
  expect_error(ErrorKind::usage, "expected a positive rebalance", [&] {
    haar_backward(zeros({1, 1, 1, 4}), zeros({1, 2, 2, 1}), 0.0);
  });
  expect_error(ErrorKind::usage, "non-empty image", [&] {
    haar_forward(Tensor::empty({0, 2, 2, 1}, DType::f32, Tag::data, gpu()),
                 Tensor::empty({0, 1, 1, 4}, DType::f32, Tag::data, gpu()), 0.5);
  });
  expect_error(ErrorKind::usage, "haar_forward: f64 streams are for the CPU backend", [&] {
    haar_forward(zeros({1, 2, 2, 1}, DType::f64), zeros({1, 1, 1, 4}, DType::f64), 0.5);
  });
}

}  // namespace
}  // namespace pal
