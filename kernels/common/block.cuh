#pragma once
// Block-level building stones of the CUDA kernels. Reductions add in a fixed tree, so results
// depend on the number of threads of a block only.
#include <cstring>
#include <new>

#include "kernels/common/backend.h"
#include "runtime/launch.cuh"

namespace pal::cuda {

/// All lanes of a warp.
inline constexpr unsigned kFullMask = 0xffffffffU;
/// Threads of a block where nothing speaks for another number.
inline constexpr int kThreads = 256;

/// Rank of the thread in a one-dimensional grid.
__device__ inline int64_t global_thread() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
/// Threads of a one-dimensional grid.
__device__ inline int64_t global_threads() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

/// Sum over the lanes of a warp, in every lane.
template <typename T>
__device__ inline T warp_sum(T value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    value += __shfl_xor_sync(0xffffffffU, value, distance);
  return value;
}

/// Largest value over the lanes of a warp, in every lane; NaN counts as the least.
template <typename T>
__device__ inline T warp_max(T value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    const T other = __shfl_xor_sync(0xffffffffU, value, distance);
    value = other > value || value != value ? other : value;
  }
  return value;
}

/// Sum over the kThreadCount threads of a block, in every thread. All threads must call it; they
/// may do so again at once.
template <int kThreadCount, typename T>
__device__ inline T block_sum(T value) {
  static_assert(kThreadCount % 32 == 0 && kThreadCount <= 1024);
  PAL_SHARED(T, partial, 32);
  const int lane = static_cast<int>(threadIdx.x) % 32;
  value = warp_sum(value);
  if (lane == 0) partial[threadIdx.x / 32] = value;
  __syncthreads();
  value = lane < kThreadCount / 32 ? partial[lane] : T(0);
  __syncthreads();
  return warp_sum(value);
}

/// Largest value over the kThreadCount threads of a block, in every thread; NaN counts as the
/// least. All threads must call it; they may do so again at once.
template <int kThreadCount, typename T>
__device__ inline T block_max(T value) {
  static_assert(kThreadCount % 32 == 0 && kThreadCount <= 1024);
  PAL_SHARED(T, largest, 32);
  const int lane = static_cast<int>(threadIdx.x) % 32;
  value = warp_max(value);
  if (lane == 0) largest[threadIdx.x / 32] = value;
  __syncthreads();
  value = largest[lane < kThreadCount / 32 ? lane : 0];
  __syncthreads();
  return warp_max(value);
}

/// kWidth elements that are read and written in one access.
template <typename T, int kWidth>
struct alignas(sizeof(T) * kWidth) Vec {
  T at[kWidth];
};

/// Elements of type T in one 16-byte access.
template <typename T>
inline constexpr int kVectorWidth = 16 / static_cast<int>(sizeof(T));

/// Reads kWidth neighbouring elements in one access, to whose size `from` must be aligned.
template <int kWidth, typename T>
__device__ inline Vec<T, kWidth> load_vector(const T* from) {
  return *reinterpret_cast<const Vec<T, kWidth>*>(from);
}
/// Writes kWidth neighbouring elements in one access, to whose size `to` must be aligned; in memory
/// of any kind. For global memory store_vector is safer.
template <int kWidth, typename T>
__device__ inline void store_vector_anywhere(T* to, const Vec<T, kWidth>& values) {
  // Not by assignment: types with an operator of their own would be stored one by one.
  ::new (static_cast<void*>(to)) Vec<T, kWidth>(values);
}
/// Writes kWidth neighbouring elements of global memory in one access, to whose size `to` must be
/// aligned.
template <int kWidth, typename T>
__device__ inline void store_vector(T* to, const Vec<T, kWidth>& values) {
#ifdef __CUDA_ARCH__
  // By name: nvcc takes some stores of structures apart (Haar's), and a warp's scalar stores with
  // gaps write each sector several times.
  if constexpr (sizeof(values) == 16) {
    unsigned word[4];
    std::memcpy(word, &values, sizeof values);
    asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(to)),
                 "r"(word[0]), "r"(word[1]), "r"(word[2]), "r"(word[3])
                 : "memory");
  } else if constexpr (sizeof(values) == 8) {
    unsigned word[2];
    std::memcpy(word, &values, sizeof values);
    asm volatile("st.global.v2.b32 [%0], {%1, %2};" ::"l"(__cvta_generic_to_global(to)),
                 "r"(word[0]), "r"(word[1])
                 : "memory");
  } else
#endif
    store_vector_anywhere(to, values);
}

/// Whether rows of `tensor` may be read in accesses of kWidth elements: its first element, its
/// pitch and its channels are all multiples.
template <int kWidth>
bool vector_rows(const Tensor& tensor) {
  const auto bytes = static_cast<uintptr_t>(kWidth * size_of(tensor.dtype()));
  return reinterpret_cast<uintptr_t>(tensor.raw()) % bytes == 0 &&
         tensor.channels() % kWidth == 0 && (tensor.rows() <= 1 || tensor.pitch() % kWidth == 0);
}

}  // namespace pal::cuda
