#include "runtime/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::pitched_tensor;
using testing::random_tensor;
using testing::tensor_with;
using testing::value_at;

constexpr DType kAllTypes[] = {DType::f32, DType::f64, DType::bf16, DType::i32, DType::u8};

Tensor counting(const Shape& shape, DType dtype = DType::f32) {
  const Tensor tensor = Tensor::empty(shape, dtype);
  for (int64_t i = 0; i < shape.numel(); ++i) testing::set_value(tensor, i, static_cast<double>(i));
  return tensor;
}

TEST(Shape, CountsElementsAndRows) {
  const Shape shape{2, 3, 5, 7};
  EXPECT_EQ(shape.rank(), 4);
  EXPECT_EQ(shape.numel(), 210);
  EXPECT_EQ(shape.rows(), 30);
  EXPECT_EQ(shape.last(), 7);
  EXPECT_EQ(shape.with_last(1), (Shape{2, 3, 5, 1}));
  EXPECT_EQ(shape.str(), "[2, 3, 5, 7]");
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_EQ(Shape{}.str(), "[]");
  EXPECT_EQ((Shape{4, 0}).rows(), 0);
  EXPECT_NE((Shape{2, 3}), (Shape{2, 3, 1}));
}

TEST(Shape, RefusesWhatItCannotHold) {
  expect_error(ErrorKind::usage, "at most 4 extents, got 5", [] { Shape({1, 1, 1, 1, 1}); });
  expect_error(ErrorKind::usage, "at least 0, got -2", [] { Shape({3, -2}); });
  expect_error(ErrorKind::usage, "at least one extent", [] { (void)Shape{}.with_last(2); });
}

TEST(Shape, AProductBeyond64BitsIsAnError) {
  const int64_t big = int64_t{1} << 31;
  EXPECT_EQ((Shape{big, big}).numel(), int64_t{1} << 62);
  const Shape overflowing{big, big, 2};
  expect_error(ErrorKind::usage, "[2147483648, 2147483648, 2] overflows",
               [&] { (void)overflowing.numel(); });
  expect_error(ErrorKind::usage, "overflows", [&] { (void)Tensor::empty(overflowing); });
}

TEST(Tensor, BytesBeyond64BitsAreAnError) {
  // 2^61 elements can be counted, their bytes cannot.
  const Shape shape{int64_t{1} << 31, int64_t{1} << 30};
  expect_error(ErrorKind::usage, "overflow", [&] { (void)Tensor::empty(shape, DType::f64); });
}

TEST(Tensor, MemoryIsAlignedAndZeroed) {
  for (const DType dtype : kAllTypes)
    for (const Shape& shape : {Shape{1}, Shape{3, 5}, Shape{2, 3, 5, 17}, Shape{0, 4}}) {
      const Tensor tensor = Tensor::zeros(shape, dtype);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.raw()) % 64, 0U);
      EXPECT_TRUE(tensor.is_dense());
      EXPECT_EQ(tensor.bytes(), shape.numel() * size_of(dtype));
      for (int64_t i = 0; i < tensor.numel(); ++i) ASSERT_EQ(value_at(tensor, i), 0.0);
    }
}

TEST(Tensor, ChannelSlicesShareMemoryAtTheSamePitch) {
  const Tensor x = counting({2, 2, 3, 5});
  const Tensor slice = x.slice_channels(1, 3);
  EXPECT_EQ(slice.shape(), (Shape{2, 2, 3, 3}));
  EXPECT_EQ(slice.pitch(), 5);
  EXPECT_FALSE(slice.is_dense());
  EXPECT_EQ(slice.bytes(), 36 * 4);
  EXPECT_EQ(value_at(slice, 0), 1.0);
  EXPECT_EQ(value_at(slice, 5), 8.0);
  slice.fill(-1.0);
  for (int64_t i = 0; i < x.numel(); ++i)
    EXPECT_EQ(value_at(x, i), i % 5 >= 1 && i % 5 < 4 ? -1.0 : static_cast<double>(i));
  const Tensor nested = x.slice_channels(1, 3).slice_channels(2, 1);
  EXPECT_EQ(nested.raw(), static_cast<char*>(x.raw()) + 3 * 4);
  EXPECT_TRUE(x.slice_channels(5, 0).numel() == 0);
  expect_error(ErrorKind::usage, "a range in 5 channels, got 3 + 3",
               [&] { (void)x.slice_channels(3, 3); });
  expect_error(ErrorKind::usage, "slice_channels", [&] { (void)x.slice_channels(-1, 2); });
}

TEST(Tensor, BatchSlicesOfEveryRank) {
  for (const Shape& shape : {Shape{6}, Shape{6, 3}, Shape{6, 2, 3}, Shape{6, 2, 1, 3}}) {
    const Tensor x = counting(shape);
    const Tensor part = x.slice_batch(2, 3);
    EXPECT_EQ(part.size(0), 3);
    EXPECT_EQ(part.rank(), shape.rank());
    EXPECT_EQ(value_at(part, 0), static_cast<double>(2 * shape.numel() / 6));
    EXPECT_EQ(value_at(part, part.numel() - 1), static_cast<double>(5 * shape.numel() / 6 - 1));
  }
  const Tensor narrow = counting({4, 2, 2, 6}).slice_channels(4, 2).slice_batch(1, 1);
  EXPECT_EQ(narrow.pitch(), 6);
  EXPECT_EQ(value_at(narrow, 0), 28.0);
  expect_error(ErrorKind::usage, "slice_batch", [] { (void)counting({4, 2}).slice_batch(3, 2); });
}

TEST(Tensor, ReshapeAndViewsNeedDenseMemory) {
  const Tensor x = counting({2, 3, 4});
  const Tensor flat = x.reshape({24});
  EXPECT_EQ(flat.raw(), x.raw());
  EXPECT_EQ(value_at(x.view_at(5, {2, 2}), 3), 8.0);
  expect_error(ErrorKind::usage, "[5, 5] does not hold", [&] { (void)x.reshape({5, 5}); });
  expect_error(ErrorKind::usage, "dense", [&] { (void)x.slice_channels(0, 2).reshape({12}); });
  expect_error(ErrorKind::usage, "view_at", [&] { (void)x.view_at(22, {3}); });
  expect_error(ErrorKind::usage, "view_at", [&] { (void)x.view_at(-1, {3}); });
  // One row of a slice is as good as dense.
  EXPECT_TRUE(counting({1, 6}).slice_channels(2, 3).is_dense());
  EXPECT_EQ(value_at(counting({1, 6}).slice_channels(2, 3).reshape({3, 1}), 1), 3.0);
}

TEST(Tensor, CopiesKeepValuesWhateverThePitch) {
  for (const DType dtype : kAllTypes)
    for (const Shape& shape :
         {Shape{1, 1}, Shape{7, 13}, Shape{3, 5, 5, 17}, Shape{2, 70, 70, 9}}) {
      const Tensor x = Tensor::empty(shape, dtype);
      for (int64_t i = 0; i < x.numel(); ++i)
        testing::set_value(x, i, static_cast<double>(i % 101));
      const Tensor pitched = pitched_tensor(shape, dtype);
      pitched.copy_from(x);
      EXPECT_EQ(testing::values_of(pitched), testing::values_of(x));
      const Tensor back = pitched.clone();
      EXPECT_TRUE(back.is_dense());
      EXPECT_EQ(testing::values_of(back), testing::values_of(x));
      EXPECT_EQ(x.dense().raw(), x.raw());
      // The guard values around the slice stay.
      const auto* guard = static_cast<const char*>(pitched.raw()) - size_of(dtype);
      const Tensor reference = Tensor::empty({1}, dtype);
      reference.fill(77.0);
      EXPECT_EQ(std::memcmp(guard, reference.raw(), static_cast<size_t>(size_of(dtype))), 0);
    }
  expect_error(ErrorKind::usage, "copy_from: expected [2, 3] of f32, got [3, 2] of f32", [] {
    counting({2, 3}).copy_from(counting({3, 2}));
  });
  expect_error(ErrorKind::usage, "of f64", [] {
    counting({2, 3}).copy_from(counting({2, 3}, DType::f64));
  });
}

TEST(Tensor, TypedAccessIsChecked) {
  const Tensor x = Tensor::zeros({3}, DType::f64);
  EXPECT_NE(x.data<double>(), nullptr);
  expect_error(ErrorKind::usage, "expected f32, got f64", [&] { (void)x.data<float>(); });
  expect_error(ErrorKind::usage, "defined", [] { (void)Tensor().raw(); });
  expect_error(ErrorKind::usage, "expected f64, got nothing",
               [] { (void)Tensor().data<double>(); });
}

TEST(Tensor, ConvertsBetweenFloatingTypes) {
  const Tensor x = random_tensor({5, 7}, DType::f64, 1);
  expect_near(x.to(DType::f32), x, 2.5e-7);
  expect_near(x.to(DType::f32).to(DType::f64), x, 2.5e-7);
  expect_near(testing::pitched_copy(x).to(DType::bf16), x, 4.0 / 256.0);
  expect_error(ErrorKind::usage, "expected f32, f64 or bf16, got i32",
               [&] { (void)x.to(DType::i32); });
  expect_error(ErrorKind::usage, "got u8", [] { (void)counting({2}, DType::u8).to(DType::f32); });
}

uint16_t bf16_bits(float value) { return bfloat16(value).bits; }

TEST(Bfloat16, RoundsToNearestEven) {
  EXPECT_EQ(bf16_bits(1.0F), 0x3f80);
  // Between 1 and 1 + 2^-7: the tie goes to the even mantissa, then up from an odd one.
  EXPECT_EQ(bf16_bits(1.0F + 0x1p-8F), 0x3f80);
  EXPECT_EQ(bf16_bits(1.0F + 0x1p-8F + 0x1p-20F), 0x3f81);
  EXPECT_EQ(bf16_bits(1.0F + 0x1p-7F + 0x1p-8F), 0x3f82);
  EXPECT_EQ(bf16_bits(-1.0F - 0x1p-8F), 0xbf80);
  EXPECT_EQ(bf16_bits(-0.0F), 0x8000);
  // The largest floats round up to infinity.
  EXPECT_EQ(bf16_bits(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(bf16_bits(-std::numeric_limits<float>::infinity()), 0xff80);
}

TEST(Bfloat16, EveryPatternSurvivesARoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    bfloat16 value;
    value.bits = static_cast<uint16_t>(bits);
    const bool nan = (bits & 0x7fff) > 0x7f80;
    const auto wide = static_cast<float>(value);
    ASSERT_EQ(std::isnan(wide), nan);
    if (nan) continue;
    ASSERT_EQ(bfloat16(wide).bits, bits);
  }
}

TEST(Bfloat16, NanStaysNan) {
  // A payload only in the lower half must not become infinity.
  const uint32_t word = 0x7f800001U;
  float signalling;
  std::memcpy(&signalling, &word, sizeof word);
  EXPECT_TRUE(std::isnan(static_cast<float>(bfloat16(signalling))));
  EXPECT_TRUE(std::isnan(static_cast<float>(bfloat16(std::nanf("")))));
}

TEST(Tensor, FillCoversEveryType) {
  for (const DType dtype : kAllTypes) {
    const Tensor x = pitched_tensor({4, 3}, dtype);
    x.fill(5.0);
    for (int64_t i = 0; i < x.numel(); ++i) EXPECT_EQ(value_at(x, i), 5.0);
  }
}

}  // namespace
}  // namespace pal
