#pragma once
#include "kernels/common/block.cuh"

// Products of small matrices by a warp together: bf16 operands in shared memory, sums in float in
// registers. On GPUs of capability 8.0 tensor cores compute them; elsewhere the same threads hold
// the same values and compute them one by one.
//
// A thread is (group, place) = (lane / 4, lane % 4). It holds of a block of 16 x 16 operands four
// words of two neighbours each, and of 16 x 8 results (Accumulator) those in rows group and
// group + 8, columns 2 place and 2 place + 1.
namespace pal::cuda {

/// A thread's four results of 16 x 8: rows group and group + 8, two columns of each.
struct Accumulator {
  float at[4] = {};
};

/// A thread's part of a block of 16 rows or columns by 16 terms of the sum, as four words.
struct Fragment {
  uint32_t at[4];
};

/// Two bf16 as the word that holds them, `low` first in memory.
__device__ inline uint32_t pack(bfloat16 low, bfloat16 high) {
  return low.bits | static_cast<uint32_t>(high.bits) << 16;
}

/// Two floats, rounded, as such a word.
__device__ inline uint32_t pack(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
#else
  return pack(bfloat16(low), bfloat16(high));
#endif
}

/// Reads a block of 16 x 16 elements from shared memory, whose rows are `pitch` elements apart and
/// begin at multiples of 16 bytes. Each word holds two neighbouring terms of the sum, which run
/// along the rows or, if kTransposed, down the columns. Word i: terms from 8 (i / 2) on, rows (or
/// columns) from 8 (i % 2) on. All lanes of a warp must call it.
template <bool kTransposed>
__device__ inline Fragment load_fragment(const bfloat16* block, int pitch) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  Fragment fragment;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  // Lane l says where row l % 8 of the quarter l / 8 begins.
  const int quarter = lane / 8;
  const int along = 8 * (quarter / 2);  // terms of the sum
  const int across = 8 * (quarter % 2);
  const bfloat16* row = kTransposed ? block + (along + lane % 8) * pitch + across
                                    : block + (across + lane % 8) * pitch + along;
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  if constexpr (kTransposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(fragment.at[0]), "=r"(fragment.at[1]), "=r"(fragment.at[2]),
                   "=r"(fragment.at[3])
                 : "r"(address)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(fragment.at[0]), "=r"(fragment.at[1]), "=r"(fragment.at[2]),
                   "=r"(fragment.at[3])
                 : "r"(address)
                 : "memory");
#else
  const int group = lane / 4;
  const int term = 2 * (lane % 4);
  for (int i = 0; i < 4; ++i) {
    const int along = 8 * (i / 2) + term;
    const int across = 8 * (i % 2) + group;
    const bfloat16* at =
        kTransposed ? block + along * pitch + across : block + across * pitch + along;
    fragment.at[i] = pack(at[0], at[kTransposed ? pitch : 1]);
  }
#endif
  return fragment;
}

/// sums[i, j] += sum over 16 terms k of a[i, k] b[j, k], for 16 rows i and the 8 rows j of b from
/// 8 kHalf on. All lanes of a warp must call it.
template <int kHalf>
__device__ inline void multiply_add(Accumulator& sums, const Fragment& a, const Fragment& b) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
      "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sums.at[0]), "+f"(sums.at[1]), "+f"(sums.at[2]), "+f"(sums.at[3])
      : "r"(a.at[0]), "r"(a.at[1]), "r"(a.at[2]), "r"(a.at[3]), "r"(b.at[kHalf]),
        "r"(b.at[kHalf + 2]));
#else
  const int lane = static_cast<int>(threadIdx.x) % 32;
  // Bits 16 quarter to 16 quarter + 15 of two words.
  const auto value = [](unsigned long long words, int quarter) {
    bfloat16 one;
    one.bits = static_cast<uint16_t>(words >> 16 * quarter);
    return static_cast<float>(one);
  };
  const auto pair = [](uint32_t low, uint32_t high) {
    return low | static_cast<unsigned long long>(high) << 32;
  };
  const auto b_words = pair(b.at[kHalf], b.at[kHalf + 2]);
  for (int place = 0; place < 4; ++place) {
    const int row = lane / 4 * 4 + place;
    const int column = lane % 4 * 8 + place;
    const auto upper = __shfl_sync(kFullMask, pair(a.at[0], a.at[2]), row);
    const auto lower = __shfl_sync(kFullMask, pair(a.at[1], a.at[3]), row);
    const auto left = __shfl_sync(kFullMask, b_words, column);
    const auto right = __shfl_sync(kFullMask, b_words, column + 4);
    for (int i = 0; i < 4; ++i) {
      sums.at[0] += value(upper, i) * value(left, i);
      sums.at[1] += value(upper, i) * value(right, i);
      sums.at[2] += value(lower, i) * value(left, i);
      sums.at[3] += value(lower, i) * value(right, i);
    }
  }
#endif
}

}  // namespace pal::cuda
