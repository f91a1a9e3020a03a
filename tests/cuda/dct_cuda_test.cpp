#include "kernels/resample/dct.h"

#include <gtest/gtest.h>

#include "runtime/cuda.h"
#include "runtime/cuda_graph.h"
#include "tests/cuda/guarded_output.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using test::gpu;
using test::gpu_slice;
using test::GuardedOutput;
using testing::expect_error;

constexpr DctMap kReference{DctMap::Flavour::reference, 0.5};
constexpr DctMap kOrthonormal{DctMap::Flavour::orthonormal, 0.5};

Shape flat(const Shape& x) { return {x[0], x[1] * x[2] * x[3]}; }

void expect_parity(const Shape& shape, const DctMap& map, int64_t begin, int64_t after) {
  const std::string what = shape.str() + " from channel " + std::to_string(begin);
  const double tolerance = test::tolerance_of(DType::f32);
  const Tensor x = test::random_tensor(shape, DType::f32, 1);
  const Tensor y = Tensor::empty(flat(shape));
  cpu::dct_forward(x, y, map);
  const GuardedOutput forward(y.shape(), DType::f32, begin, after);
  cuda::dct_forward(gpu_slice(x, begin, after), forward.slice(), map);
  test::expect_close(y, forward.slice(), tolerance, "forward " + what);
  forward.expect_kept("forward " + what);

  const Tensor grad_y = test::random_tensor(y.shape(), DType::f32, 2);
  const Tensor device_grad_y = gpu_slice(grad_y, begin, after);
  const Tensor wanted = Tensor::empty(shape);
  cpu::dct_backward(grad_y, wanted, map);
  const GuardedOutput backward(shape, DType::f32, begin, after);
  cuda::dct_backward(device_grad_y, backward.slice(), map);
  test::expect_close(wanted, backward.slice(), tolerance, "backward " + what);
  backward.expect_kept("backward " + what);

  cpu::dct_inverse(grad_y, wanted, map);
  const GuardedOutput inverse(shape, DType::f32, begin, after);
  cuda::dct_inverse(device_grad_y, inverse.slice(), map);
  test::expect_close(wanted, inverse.slice(), tolerance, "inverse " + what);
  inverse.expect_kept("inverse " + what);
}

TEST(DctCuda, FollowsTheCpu) {
  // Maps in registers, in shared memory with 32, 16 and 8 channels a block, and in two steps.
  for (const Shape& shape :
       {Shape{1, 1, 1, 1}, Shape{3, 2, 2, 5}, Shape{2, 3, 3, 4}, Shape{2, 4, 4, 67},
        Shape{3, 5, 5, 3}, Shape{1, 6, 6, 7}, Shape{2, 7, 7, 131}, Shape{2, 8, 8, 9},
        Shape{1, 9, 9, 1}, Shape{2, 13, 13, 35}, Shape{1, 20, 20, 17}, Shape{2, 33, 33, 9},
        Shape{2, 40, 40, 3}})
    for (const DctMap& map : {kReference, kOrthonormal})
      expect_parity(shape, map, shape[3] % 2, shape[3] % 3);
}

TEST(DctCuda, SchedulesGiveTheSameBits) {
  for (const Shape& shape : {Shape{3, 7, 7, 200}, Shape{2, 13, 13, 70}, Shape{1, 40, 40, 2}}) {
    const Tensor x = test::on_gpu(test::random_tensor(shape, DType::f32, 3));
    const auto results = test::run_schedules([&] {
      const Tensor y = Tensor::empty(flat(shape), DType::f32, Tag::data, gpu());
      const Tensor back = Tensor::empty(shape, DType::f32, Tag::data, gpu());
      cuda::dct_forward(x, y, kReference);
      cuda::dct_inverse(y, back, kReference);
      return std::vector<Tensor>{y, back};
    });
    // 4N float roundings of values up to about N.
    test::expect_close(x, results[1], 1e-5, "round trip " + shape.str());
  }
}

TEST(DctCuda, CanBeCaptured) {
  for (const Shape& shape : {Shape{2, 7, 7, 3}, Shape{2, 13, 13, 3}, Shape{1, 40, 40, 1}}) {
    const Tensor x = Tensor::zeros(shape, DType::f32, Tag::data, gpu());
    const Tensor y = Tensor::zeros(flat(shape), DType::f32, Tag::data, gpu());
    Allocator::Pool pool(gpu());
    CudaGraph graph;
    {
      const Allocator::PoolScope scope(pool);
      graph.capture([&] { cuda::dct_forward(x, y, kReference); });
    }
    for (const uint64_t seed : {4, 5}) {
      const Tensor values = test::random_tensor(shape, DType::f32, seed);
      x.copy_from(values);
      graph.launch();
      const Tensor wanted = Tensor::empty(flat(shape));
      cpu::dct_forward(values, wanted, kReference);
      test::expect_close(wanted, y, test::tolerance_of(DType::f32), shape.str());
    }
  }
}

TEST(DctCuda, RefusesWrongArguments) {
  const auto zeros = [](const Shape& shape, DType dtype = DType::f32) {
    return Tensor::zeros(shape, dtype, Tag::data, gpu());
  };
  expect_error(ErrorKind::usage, "dct_forward: expected square maps, got [1, 2, 3, 1]", [&] {
    cuda::dct_forward(zeros({1, 2, 3, 1}), zeros({1, 6}), kReference);
  });
  expect_error(ErrorKind::usage, "expected vector of shape [1, 4], got [1, 5]", [&] {
    cuda::dct_inverse(zeros({1, 5}), zeros({1, 2, 2, 1}), kReference);
  });
  expect_error(ErrorKind::usage, "positive rebalance", [&] {
    cuda::dct_backward(zeros({1, 1}), zeros({1, 1, 1, 1}), {DctMap::Flavour::reference, -1.0});
  });
  expect_error(ErrorKind::usage, "dct_forward: f64 streams are for the CPU backend", [&] {
    cuda::dct_forward(zeros({1, 1, 1, 1}, DType::f64), zeros({1, 1}, DType::f64), kReference);
  });
}

}  // namespace
}  // namespace pal
