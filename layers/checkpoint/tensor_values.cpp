#include "layers/checkpoint/tensor_values.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "runtime/dtype.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

/// IEEE half precision.
struct Half {
  uint16_t bits;
  explicit operator double() const {
    const int exponent = bits >> 10 & 0x1f;
    const int fraction = bits & 0x3ff;
    double value =
        std::ldexp(exponent == 0 ? fraction : fraction + 1024, std::max(exponent, 1) - 25);
    if (exponent == 0x1f) value = fraction == 0 ? HUGE_VAL : NAN;
    return (bits & 0x8000) != 0 ? -value : value;
  }
};

double as_double(bfloat16 value) { return static_cast<float>(value); }
template <typename T>
double as_double(T value) {
  return static_cast<double>(value);
}

template <typename T>
double value_at(std::span<const uint8_t> bytes, int64_t i) {
  T value;
  std::memcpy(static_cast<void*>(&value), bytes.data() + i * static_cast<int64_t>(sizeof(T)),
              sizeof(T));
  return as_double(value);
}

template <typename T>
ValueSummary summarize_as(std::span<const uint8_t> bytes) {
  const auto count = static_cast<int64_t>(bytes.size() / sizeof(T));
  const double sum = parallel_sum(count, [&](int64_t i) { return value_at<T>(bytes, i); });
  if (std::isfinite(sum) || std::is_integral_v<T>) return {sum, true};
  // A sum of finite doubles may overflow, so look at the values themselves.
  const double bad = parallel_sum(
      count, [&](int64_t i) { return std::isfinite(value_at<T>(bytes, i)) ? 0.0 : 1.0; });
  return {sum, bad == 0.0};
}

template <typename T>
void convert_as(std::span<const uint8_t> bytes, std::span<float> values) {
  expect(bytes.size() == values.size() * sizeof(T), "convert_to_float: {} bytes for {} values",
         bytes.size(), values.size());
  const auto count = static_cast<int64_t>(values.size());
  for (int64_t i = 0; i < count; ++i)
    values[static_cast<size_t>(i)] = static_cast<float>(value_at<T>(bytes, i));
}

}  // namespace

std::optional<ValueSummary> summarize_values(const std::string& dtype_name,
                                             std::span<const uint8_t> bytes) {
  if (dtype_name == "F32") return summarize_as<float>(bytes);
  if (dtype_name == "F64") return summarize_as<double>(bytes);
  if (dtype_name == "BF16") return summarize_as<bfloat16>(bytes);
  if (dtype_name == "F16") return summarize_as<Half>(bytes);
  if (dtype_name == "I64") return summarize_as<int64_t>(bytes);
  if (dtype_name == "U64") return summarize_as<uint64_t>(bytes);
  if (dtype_name == "I32") return summarize_as<int32_t>(bytes);
  if (dtype_name == "U32") return summarize_as<uint32_t>(bytes);
  if (dtype_name == "I16") return summarize_as<int16_t>(bytes);
  if (dtype_name == "U16") return summarize_as<uint16_t>(bytes);
  if (dtype_name == "I8") return summarize_as<int8_t>(bytes);
  if (dtype_name == "U8" || dtype_name == "BOOL") return summarize_as<uint8_t>(bytes);
  return std::nullopt;
}

bool convert_to_float(const std::string& dtype_name, std::span<const uint8_t> bytes,
                      std::span<float> values) {
  if (dtype_name == "F32")
    convert_as<float>(bytes, values);
  else if (dtype_name == "F64")
    convert_as<double>(bytes, values);
  else if (dtype_name == "BF16")
    convert_as<bfloat16>(bytes, values);
  else if (dtype_name == "F16")
    convert_as<Half>(bytes, values);
  else
    return false;
  return true;
}

}  // namespace pal
