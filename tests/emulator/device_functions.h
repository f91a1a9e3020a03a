#pragma once
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <source_location>

#include "tests/emulator/block.h"

// Every synchronising function knows where it was called: threads must meet at the same place.

inline void __syncthreads(std::source_location site = std::source_location::current()) {
  emulator::detail::barrier(site);
}

inline void __syncwarp(unsigned mask = 0xffffffffu,
                       std::source_location site = std::source_location::current()) {
  emulator::detail::warp_exchange(emulator::detail::WarpFunction::sync, mask, 0, 0, site);
}

namespace emulator::detail {

template <class T>
concept Shuffled = std::same_as<T, int> || std::same_as<T, unsigned> || std::same_as<T, long> ||
    std::same_as<T, unsigned long> || std::same_as<T, long long> ||
    std::same_as<T, unsigned long long> || std::same_as<T, float> || std::same_as<T, double>;

template <Shuffled T>
T shuffle(unsigned mask, T value, unsigned source, const std::source_location& site) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = warp_exchange(WarpFunction::shuffle, mask, bits, source, site);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline unsigned first_of_segment(int width, const std::source_location& site) {
  if (width < 1 || width > 32 || !std::has_single_bit(unsigned(width)))
    device_fault("the width of a shuffle must be a power of two up to 32", site);
  return lane() & ~(unsigned(width) - 1);
}

inline unsigned ballot(unsigned mask, bool predicate, const std::source_location& site) {
  return unsigned(warp_exchange(WarpFunction::ballot, mask, predicate, 0, site));
}

}  // namespace emulator::detail

template <emulator::detail::Shuffled T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              std::source_location site = std::source_location::current()) {
  const unsigned first = emulator::detail::first_of_segment(width, site);
  return emulator::detail::shuffle(mask, value, first + (unsigned(source) & unsigned(width - 1)),
                                   site);
}

/// Lanes whose source would lie before their segment keep their own value.
template <emulator::detail::Shuffled T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 std::source_location site = std::source_location::current()) {
  const unsigned first = emulator::detail::first_of_segment(width, site);
  const unsigned own = emulator::detail::lane();
  return emulator::detail::shuffle(mask, value, own - first >= delta ? own - delta : own, site);
}

/// Lanes whose source would lie behind their segment keep their own value.
template <emulator::detail::Shuffled T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   std::source_location site = std::source_location::current()) {
  const unsigned end = emulator::detail::first_of_segment(width, site) + unsigned(width);
  const unsigned own = emulator::detail::lane();
  return emulator::detail::shuffle(mask, value, delta < end - own ? own + delta : own, site);
}

/// Earlier segments can be read, later ones not.
template <emulator::detail::Shuffled T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                  std::source_location site = std::source_location::current()) {
  const unsigned end = emulator::detail::first_of_segment(width, site) + unsigned(width);
  const unsigned own = emulator::detail::lane(), other = own ^ unsigned(lane_mask);
  return emulator::detail::shuffle(mask, value, other < end ? other : own, site);
}

inline unsigned __ballot_sync(unsigned mask, int predicate,
                              std::source_location site = std::source_location::current()) {
  return emulator::detail::ballot(mask, predicate != 0, site);
}
inline int __any_sync(unsigned mask, int predicate,
                      std::source_location site = std::source_location::current()) {
  return emulator::detail::ballot(mask, predicate != 0, site) != 0;
}
inline int __all_sync(unsigned mask, int predicate,
                      std::source_location site = std::source_location::current()) {
  return emulator::detail::ballot(mask, predicate != 0, site) == mask;
}

[[noreturn]] inline void __trap(std::source_location site = std::source_location::current()) {
  emulator::detail::device_fault("__trap", site);
}

// One thread runs at a time, so plain operations are atomic. Types as in the rules of the project:
// sums of floats would depend on the order of the threads.
namespace emulator::detail {
template <class T>
concept Atomic =
    std::same_as<T, int> || std::same_as<T, unsigned> || std::same_as<T, unsigned long long>;
}

template <emulator::detail::Atomic T>
T atomicExch(T* address, std::type_identity_t<T> value) {
  const T old = *address;
  *address = value;
  return old;
}
template <emulator::detail::Atomic T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  // Unsigned, because hardware wraps.
  using Unsigned = std::make_unsigned_t<T>;
  return atomicExch(address, static_cast<T>(Unsigned(*address) + Unsigned(value)));
}
template <emulator::detail::Atomic T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  return atomicExch(address, *address < value ? value : *address);
}
template <emulator::detail::Atomic T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  return atomicExch(address, value < *address ? value : *address);
}
template <emulator::detail::Atomic T>
T atomicOr(T* address, std::type_identity_t<T> value) {
  return atomicExch(address, *address | value);
}
template <emulator::detail::Atomic T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return atomicExch(address, *address == expected ? value : *address);
}
float atomicAdd(float* address, float value) = delete;
double atomicAdd(double* address, double value) = delete;

inline void __threadfence() {}
inline void __threadfence_block() {}

template <class T>
T __ldg(const T* address) {
  return *address;
}

template <class T>
T __ldcg(const T* address) {
  return *address;
}

inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }
inline double __longlong_as_double(long long x) { return std::bit_cast<double>(x); }

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }

inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(unsigned(x)); }
inline int __clzll(long long x) { return std::countl_zero(static_cast<unsigned long long>(x)); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(unsigned(x)) + 1; }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((uint64_t(a) * b) >> 32); }
