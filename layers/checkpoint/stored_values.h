#pragma once
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "layers/checkpoint/safetensors.h"

namespace pal {

/// A value type as safetensors names it.
template <typename T>
constexpr const char* stored_type() {
  if constexpr (std::is_same_v<T, double>) return "F64";
  if constexpr (std::is_same_v<T, float>) return "F32";
  if constexpr (std::is_same_v<T, int64_t>) return "I64";
  if constexpr (std::is_same_v<T, int32_t>) return "I32";
  if constexpr (std::is_same_v<T, char>) return "U8";
}

/// Values on the host (a vector or a string) as a tensor to be written, of shape [values] if none is
/// given. Keeps a reference to the values, which must stay as they are until it is written.
template <typename Values>
StoredTensor stored_values(const std::string& name, const Values& values,
                           std::vector<int64_t> shape = {}) {
  using T = typename Values::value_type;
  if (shape.empty()) shape = {static_cast<int64_t>(values.size())};
  const size_t bytes = values.size() * sizeof(T);
  return {name, stored_type<T>(), std::move(shape), static_cast<int64_t>(bytes),
          [&values, bytes](const ByteSink& sink) {
            sink({reinterpret_cast<const uint8_t*>(values.data()), bytes});
          }};
}

}  // namespace pal
