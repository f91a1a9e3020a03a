#include "kernels/resample/squeeze.h"

#include <gtest/gtest.h>

#include "tests/cuda/guarded_output.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using test::gpu;
using test::gpu_slice;
using test::GuardedOutput;
using testing::expect_error;

Shape squeezed(const Shape& x) { return {x[0], x[1] / 2, x[2] / 2, 4 * x[3]}; }

TEST(SqueezeCuda, GivesTheBitsOfTheCpu) {
  struct Place {
    int64_t begin, after;
  };
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const Shape& shape : {Shape{1, 2, 2, 1}, Shape{2, 4, 6, 3}, Shape{3, 2, 10, 17},
                               Shape{2, 6, 4, 2}, Shape{2, 4, 4, 8}})
      for (const Place from : {Place{0, 0}, Place{1, 2}, Place{2, 2}, Place{8, 16}})
        for (const Place to : {Place{0, 0}, Place{3, 0}, Place{4, 4}, Place{8, 8}}) {
          const std::string what = std::string(name_of(dtype)) + " " + shape.str() +
                                   " from channel " + std::to_string(from.begin) + " to " +
                                   std::to_string(to.begin);
          const Tensor x = test::random_tensor(shape, dtype, 1);
          const Tensor y = Tensor::empty(squeezed(shape), dtype);
          cpu::squeeze(x, y);
          const GuardedOutput there(y.shape(), dtype, to.begin, to.after);
          cuda::squeeze(gpu_slice(x, from.begin, from.after), there.slice());
          there.expect_written(y, "squeeze " + what);
          const GuardedOutput back(shape, dtype, to.begin, to.after);
          cuda::unsqueeze(gpu_slice(y, from.begin, from.after), back.slice());
          back.expect_written(x, "unsqueeze " + what);
        }
}

TEST(SqueezeCuda, SchedulesGiveTheSameBits) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Shape shape{3, 28, 28, 6};
    const Tensor x = test::on_gpu(test::random_tensor(shape, dtype, 2));
    const auto results = test::run_schedules([&] {
      const Tensor y = Tensor::empty(squeezed(shape), dtype, Tag::data, gpu());
      const Tensor back = Tensor::empty(shape, dtype, Tag::data, gpu());
      cuda::squeeze(x, y);
      cuda::unsqueeze(y, back);
      return std::vector<Tensor>{y, back};
    });
    test::expect_same(x, results[1], "round trip");
  }
}

TEST(SqueezeCuda, RefusesWrongArguments) {
  const auto zeros = [](const Shape& shape, DType dtype) {
    return Tensor::zeros(shape, dtype, Tag::data, gpu());
  };
  expect_error(ErrorKind::usage, "squeeze: expected an even height and width, got [1, 2, 5, 1]",
               [&] {
                 cuda::squeeze(zeros({1, 2, 5, 1}, DType::f32), zeros({1, 1, 2, 4}, DType::f32));
               });
  expect_error(ErrorKind::usage, "unsqueeze: expected squeezed image in f32, got bf16", [&] {
    cuda::unsqueeze(zeros({1, 1, 1, 4}, DType::bf16), zeros({1, 2, 2, 1}, DType::f32));
  });
  expect_error(ErrorKind::usage, "squeeze: f64 streams are for the CPU backend", [&] {
    cuda::squeeze(zeros({1, 2, 2, 1}, DType::f64), zeros({1, 1, 1, 4}, DType::f64));
  });
}

}  // namespace
}  // namespace pal
