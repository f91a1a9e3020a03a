#include "kernels/mixing/permutation.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/mixing/permute_channels.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::pitched_copy;
using testing::pitched_tensor;
using testing::random_tensor;
using testing::tensor_with;
using testing::value_at;

TEST(Permutation, NumpyLegacyOrderOfSeedZero) {
  const auto index = numpy_permutation(3072);
  const std::vector<int32_t> start = {1430, 779, 643, 1853, 1907, 1224};
  EXPECT_TRUE(std::equal(start.begin(), start.end(), index.begin()));
  EXPECT_NO_THROW(invert_permutation(index));
  EXPECT_EQ(numpy_permutation(1), std::vector<int32_t>{0});
}

TEST(Permutation, RandomOnesAreUniformAndReproducible) {
  // All 24 orders of four must appear about equally often: 24 000 draws, 5 standard deviations.
  std::vector<int> counts(256);
  for (uint64_t i = 0; i < 24000; ++i) {
    const auto p = random_permutation(4, Philox(1, RandomPurpose::test, i));
    ++counts[static_cast<size_t>(p[0] * 64 + p[1] * 16 + p[2] * 4 + p[3])];
  }
  EXPECT_EQ(std::count(counts.begin(), counts.end(), 0), 256 - 24);
  for (const int count : counts)
    if (count > 0) {
      EXPECT_NEAR(count, 1000, 5 * 31);
    }
  const Philox random(7, RandomPurpose::init);
  EXPECT_EQ(random_permutation(100, random), random_permutation(100, random));
  EXPECT_NE(random_permutation(100, random),
            random_permutation(100, Philox(8, RandomPurpose::init)));
}

TEST(Permutation, InverseAndBrokenOnes) {
  const std::vector<int32_t> index = {2, 0, 3, 1};
  EXPECT_EQ(invert_permutation(index), (std::vector<int32_t>{1, 3, 0, 2}));
  for (const std::vector<int32_t>& broken :
       {std::vector<int32_t>{0, 0}, {0, 2}, {-1, 0}, {2147483647, 0}})
    expect_error(ErrorKind::data, "expected each of 0 to 1 once",
                 [&] { invert_permutation(broken); });
}

TEST(Permutation, PermuteChannelsGathers) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    const Tensor x = random_tensor({2, 3, 5, 19}, dtype, 1);
    const auto order = random_permutation(19, Philox(1, RandomPurpose::test));
    const Tensor index = Tensor::empty({19}, DType::i32);
    std::copy(order.begin(), order.end(), index.data<int32_t>());
    const Tensor y = pitched_tensor(x.shape(), dtype);
    cpu::permute_channels(pitched_copy(x), index, y);
    for (int64_t i = 0; i < x.numel(); ++i)
      ASSERT_EQ(value_at(y, i), value_at(x, i / 19 * 19 + order[static_cast<size_t>(i % 19)]));
    const auto back = invert_permutation(order);
    std::copy(back.begin(), back.end(), index.data<int32_t>());
    const Tensor again = Tensor::empty(x.shape(), dtype);
    cpu::permute_channels(y, index, again);
    expect_near(again, x, 0.0);
  }
}

TEST(Permutation, RefusesWrongArguments) {
  const Tensor x = Tensor::zeros({1, 2});
  const Tensor y = Tensor::zeros({1, 2});
  expect_error(ErrorKind::data, "index 1 is 2; expected 0 to 1", [&] {
    cpu::permute_channels(x, tensor_with({2}, DType::i32, {0, 2}), y);
  });
  expect_error(ErrorKind::usage, "expected index of shape [2], got [3]", [&] {
    cpu::permute_channels(x, tensor_with({3}, DType::i32, {0, 1, 0}), y);
  });
}

}  // namespace
}  // namespace pal
