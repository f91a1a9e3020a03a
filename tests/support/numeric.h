#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "runtime/error.h"
#include "runtime/philox.h"
#include "runtime/tensor.h"

// Values, numeric gradients and comparisons for the tests of single operations.
namespace pal::testing {

/// Element i of a tensor, counted row by row, whatever its pitch.
inline double value_at(const Tensor& tensor, int64_t i) {
  const int64_t at = i / tensor.channels() * tensor.pitch() + i % tensor.channels();
  switch (tensor.dtype()) {
    case DType::f32:
      return static_cast<double>(tensor.data<float>()[at]);
    case DType::f64:
      return tensor.data<double>()[at];
    case DType::bf16:
      return static_cast<double>(static_cast<float>(tensor.data<bfloat16>()[at]));
    case DType::i32:
      return static_cast<double>(tensor.data<int32_t>()[at]);
    case DType::u8:
      break;
  }
  return static_cast<double>(tensor.data<uint8_t>()[at]);
}

inline void set_value(const Tensor& tensor, int64_t i, double value) {
  const int64_t at = i / tensor.channels() * tensor.pitch() + i % tensor.channels();
  switch (tensor.dtype()) {
    case DType::f32:
      tensor.data<float>()[at] = static_cast<float>(value);
      return;
    case DType::f64:
      tensor.data<double>()[at] = value;
      return;
    case DType::bf16:
      tensor.data<bfloat16>()[at] = bfloat16(static_cast<float>(value));
      return;
    case DType::i32:
      tensor.data<int32_t>()[at] = static_cast<int32_t>(value);
      return;
    case DType::u8:
      tensor.data<uint8_t>()[at] = static_cast<uint8_t>(value);
      return;
  }
}

inline std::vector<double> values_of(const Tensor& tensor) {
  std::vector<double> values(static_cast<size_t>(tensor.numel()));
  for (int64_t i = 0; i < tensor.numel(); ++i) values[static_cast<size_t>(i)] = value_at(tensor, i);
  return values;
}

/// Largest |a - b| over the largest |b|.
inline double relative_difference(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0.0;
  double largest = 0.0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    // NaN is the largest difference of all.
    const double d = std::abs(a[i] - b[i]);
    difference = d <= difference ? difference : d;
    largest = std::max(largest, std::abs(b[i]));
  }
  return difference == 0.0 ? 0.0 : difference / largest;
}

inline Tensor tensor_with(const Shape& shape, DType dtype, const std::vector<double>& values) {
  EXPECT_EQ(shape.numel(), static_cast<int64_t>(values.size()));
  const Tensor tensor = Tensor::empty(shape, dtype);
  for (int64_t i = 0; i < shape.numel(); ++i) set_value(tensor, i, values[static_cast<size_t>(i)]);
  return tensor;
}

inline Tensor constant_tensor(const Shape& shape, double value) {
  const Tensor tensor = Tensor::empty(shape, DType::f64);
  tensor.fill(value);
  return tensor;
}

/// Standard normal values, the same for the same key.
inline Tensor random_tensor(const Shape& shape, DType dtype, uint64_t key, double scale = 1.0) {
  const Philox random(key, RandomPurpose::test);
  const Tensor tensor = Tensor::empty(shape, dtype);
  for (int64_t i = 0; i < shape.numel(); ++i) {
    const auto four = random.normal4(static_cast<uint32_t>(i / 4));
    set_value(tensor, i, scale * static_cast<double>(four[static_cast<size_t>(i % 4)]));
  }
  return tensor;
}

/// A tensor of this shape that is a channel slice of a wider one, filled with a guard value around.
inline Tensor pitched_tensor(const Shape& shape, DType dtype, int64_t before = 3,
                             int64_t after = 2) {
  const Tensor wide = Tensor::empty(shape.with_last(before + shape.last() + after), dtype);
  wide.fill(77.0);
  return wide.slice_channels(before, shape.last());
}

inline Tensor pitched_copy(const Tensor& source) {
  const Tensor copy = pitched_tensor(source.shape(), source.dtype());
  for (int64_t i = 0; i < source.numel(); ++i) set_value(copy, i, value_at(source, i));
  return copy;
}

/// sum a_i b_i in double: the scalar function whose gradient with respect to an op's output a is b.
inline double inner(const Tensor& a, const Tensor& b) {
  double sum = 0.0;
  for (int64_t i = 0; i < a.numel(); ++i) sum += value_at(a, i) * value_at(b, i);
  return sum;
}

/// Central differences of a scalar function of a double tensor, which it reads at each call.
inline Tensor numeric_gradient(const Tensor& x, const std::function<double()>& function,
                               double step = 1e-5) {
  const Tensor gradient = Tensor::empty(x.shape(), DType::f64);
  for (int64_t i = 0; i < x.numel(); ++i) {
    const double value = value_at(x, i);
    set_value(x, i, value + step);
    const double above = function();
    set_value(x, i, value - step);
    const double below = function();
    set_value(x, i, value);
    set_value(gradient, i, (above - below) / (2.0 * step));
  }
  return gradient;
}

inline double largest_magnitude(const Tensor& tensor) {
  double largest = 0.0;
  for (int64_t i = 0; i < tensor.numel(); ++i)
    largest = std::max(largest, std::abs(value_at(tensor, i)));
  return largest;
}

/// Fails unless shapes agree and every element lies within `tolerance` (NaN never does).
inline void expect_near(const Tensor& actual, const Tensor& wanted, double tolerance,
                        const std::string& what = "tensor") {
  ASSERT_EQ(actual.shape().str(), wanted.shape().str()) << what;
  for (int64_t i = 0; i < actual.numel(); ++i) {
    const double a = value_at(actual, i);
    const double b = value_at(wanted, i);
    ASSERT_TRUE(std::abs(a - b) <= tolerance)
        << what << ": element " << i << " is " << a << ", expected " << b << " +- " << tolerance;
  }
}

/// Fails unless `call` throws an Error of this kind whose text contains `text`.
inline void expect_error(ErrorKind kind, const std::string& text,
                         const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.kind()), static_cast<int>(kind)) << error.what();
    EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
    return;
  }
  FAIL() << "expected an error about '" << text << "'";
}

}  // namespace pal::testing
