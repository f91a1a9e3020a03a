#pragma once
#include <cstdint>
#include <cstring>

// Functions that kernels use too: compiled for the host and, under nvcc, for the device.
#ifdef __CUDACC__
#define PAL_HD __host__ __device__ inline
#else
#define PAL_HD inline
#endif

namespace pal {

/// Element types of tensors.
enum class DType : uint8_t { f32, f64, bf16, i32, u8 };

/// Bytes of one element.
constexpr int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::bf16:
      return 2;
    case DType::u8:
      break;
  }
  return 1;
}

/// The type as messages name it: "f32".
constexpr const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::f64:
      return "f64";
    case DType::bf16:
      return "bf16";
    case DType::i32:
      return "i32";
    case DType::u8:
      break;
  }
  return "u8";
}

/// The upper half of a float. Conversion from float rounds to nearest even; NaN stays NaN.
struct bfloat16 {
  uint16_t bits = 0;

  bfloat16() = default;
  bfloat16(const bfloat16&) = default;
  // By member: compilers do not vectorise loops that assign whole structures.
  PAL_HD bfloat16& operator=(const bfloat16& other) {
    bits = other.bits;
    return *this;
  }
  PAL_HD explicit bfloat16(float value) {
#ifdef __CUDA_ARCH__
    // One instruction in place of six; it differs in the payload of a NaN only.
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
#else
    uint32_t word;
    std::memcpy(&word, &value, sizeof word);
    const uint32_t rounded = word + 0x7fffU + ((word >> 16) & 1U);
    const bool is_nan = (word & 0x7fffffffU) > 0x7f800000U;
    bits = static_cast<uint16_t>((is_nan ? word | 0x400000U : rounded) >> 16);
#endif
  }
  PAL_HD explicit operator float() const {
    const uint32_t word = static_cast<uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &word, sizeof value);
    return value;
  }
};

template <typename T>
struct dtype_of_type;
template <>
struct dtype_of_type<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct dtype_of_type<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct dtype_of_type<bfloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct dtype_of_type<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct dtype_of_type<uint8_t> {
  static constexpr DType value = DType::u8;
};

/// The element type that a C++ type stands for: dtype_of<float> is DType::f32.
template <typename T>
inline constexpr DType dtype_of = dtype_of_type<T>::value;

}  // namespace pal
