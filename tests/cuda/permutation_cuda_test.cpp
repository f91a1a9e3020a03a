#include "kernels/mixing/permutation.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/mixing/permute_channels.h"
#include "tests/cuda/guarded_output.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using test::gpu;
using test::gpu_slice;
using test::GuardedOutput;
using test::on_gpu;
using testing::expect_error;

Tensor index_of(const std::vector<int32_t>& order) {
  const Tensor index = Tensor::empty({static_cast<int64_t>(order.size())}, DType::i32);
  std::copy(order.begin(), order.end(), index.data<int32_t>());
  return index;
}

void expect_parity(const Shape& shape, DType dtype, int64_t begin, int64_t after) {
  const std::string what =
      std::string(name_of(dtype)) + " " + shape.str() + " from channel " + std::to_string(begin);
  const Tensor x = test::random_tensor(shape, dtype, 1);
  const auto order = random_permutation(shape.last(), Philox(1, RandomPurpose::test));
  const Tensor y = Tensor::empty(shape, dtype);
  cpu::permute_channels(x, index_of(order), y);
  const GuardedOutput there(shape, dtype, begin, after);
  cuda::permute_channels(gpu_slice(x, begin, after), on_gpu(index_of(order)), there.slice());
  there.expect_written(y, what);
  const GuardedOutput back(shape, dtype, begin, after);
  cuda::permute_channels(there.slice(), on_gpu(index_of(invert_permutation(order))), back.slice());
  back.expect_written(x, "back " + what);
}

TEST(PermutationCuda, GivesTheBitsOfTheCpu) {
  struct Place {
    int64_t begin, after;
  };
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const Shape& shape : {Shape{1}, Shape{1, 1}, Shape{2, 3, 5, 19}, Shape{7, 8},
                               Shape{3, 5, 7, 48}, Shape{300, 4}, Shape{5, 1032}})
      for (const Place place : {Place{0, 0}, Place{1, 2}, Place{8, 16}})
        expect_parity(shape, dtype, place.begin, place.after);
}

TEST(PermutationCuda, RowsLongerThanSharedMemory) {
  for (const auto& [dtype, channels] : {std::pair{DType::f32, 12296}, {DType::bf16, 24584}}) {
    expect_parity({3, channels}, dtype, 0, 0);
    expect_parity({2, channels + 1}, dtype, 1, 0);
  }
}

TEST(PermutationCuda, UnalignedIndex) {
  const Tensor x = test::random_tensor({5, 16}, DType::f32, 2);
  const auto order = random_permutation(16, Philox(2, RandomPurpose::test));
  const Tensor y = Tensor::empty({5, 16});
  cpu::permute_channels(x, index_of(order), y);
  const Tensor found = Tensor::empty({5, 16}, DType::f32, Tag::data, gpu());
  cuda::permute_channels(on_gpu(x), gpu_slice(index_of(order), 1, 0), found);
  test::expect_same(y, found, "unaligned index");
}

TEST(PermutationCuda, SchedulesGiveTheSameBits) {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const Shape& shape : {Shape{600, 24}, Shape{4, 24584}}) {
      const Tensor x = on_gpu(test::random_tensor(shape, dtype, 3));
      const Tensor index =
          on_gpu(index_of(random_permutation(shape.last(), Philox(3, RandomPurpose::test))));
      test::run_schedules([&] {
        const Tensor y = Tensor::empty(shape, dtype, Tag::data, gpu());
        cuda::permute_channels(x, index, y);
        return std::vector<Tensor>{y};
      });
    }
}

TEST(PermutationCuda, RefusesWrongArguments) {
  const auto zeros = [](const Shape& shape, DType dtype = DType::f32) {
    return Tensor::zeros(shape, dtype, Tag::data, gpu());
  };
  expect_error(ErrorKind::usage, "expected index of shape [2], got [3]", [&] {
    cuda::permute_channels(zeros({1, 2}), zeros({3}, DType::i32), zeros({1, 2}));
  });
  expect_error(ErrorKind::usage, "expected index in i32, got f32", [&] {
    cuda::permute_channels(zeros({1, 2}), zeros({2}), zeros({1, 2}));
  });
  expect_error(ErrorKind::usage, "permute_channels: f64 streams are for the CPU backend", [&] {
    cuda::permute_channels(zeros({1, 2}, DType::f64), zeros({2}, DType::i32),
                           zeros({1, 2}, DType::f64));
  });
}

}  // namespace
}  // namespace pal
