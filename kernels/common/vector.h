#pragma once
#include <cstdint>
#include <cstring>

// Vectors of floats as wide as the processor that the code is compiled for has them, by the
// compilers' vector extension (GCC and Clang), for loops that must keep values in registers. For
// sources of kernels alone: packages compile these for several levels of processors, with other widths.
namespace pal {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif

/// Arithmetic is by element; a float beside one stands for as many equal elements.
using FloatVector __attribute__((vector_size(kVectorBytes))) = float;
inline constexpr int64_t kVectorFloats = kVectorBytes / int64_t{sizeof(float)};

/// Values of a FloatVector, or a single float, at any address.
template <typename V>
inline V load_values(const float* from) {
  V value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <typename V>
inline void store_values(float* to, V value) {
  std::memcpy(to, &value, sizeof value);
}

/// Calls body.operator()<V>(i) for all of [0, count): for vectors, then for what is left, by floats.
template <typename Body>
inline void for_each_vector(int64_t count, Body&& body) {
  int64_t i = 0;
  for (; i + kVectorFloats <= count; i += kVectorFloats) body.template operator()<FloatVector>(i);
  for (; i < count; ++i) body.template operator()<float>(i);
}

}  // namespace pal
