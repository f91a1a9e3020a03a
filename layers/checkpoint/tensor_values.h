#pragma once
// Values of tensors as files hold them: little-endian bytes of a type that safetensors names.
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace pal {

/// Sum (in double) and finiteness of a tensor's values.
struct ValueSummary {
  double sum = 0.0;
  bool finite = true;
};

/// Sum and finiteness of the values in bytes of a type ("F32", "I64", ...), which need not be
/// aligned. None for the 8-bit floating types and unknown ones.
std::optional<ValueSummary> summarize_values(const std::string& dtype_name,
                                             std::span<const uint8_t> bytes);

/// Overwrites `values` with F32, F64, F16 or BF16 values rounded to float32. False, and nothing
/// done, for any other type. Throws usage if the counts differ.
bool convert_to_float(const std::string& dtype_name, std::span<const uint8_t> bytes,
                      std::span<float> values);

}  // namespace pal
