#pragma once
#include "kernels/common/block.cuh"

// Sums that the last block of a launch finishes, which saves a launch of their own.
//
// Data flow: every block writes its parts of the sums and then draws a ticket; the one that draws
// the last adds all parts.
// Memory: the parts are read past the L1 cache, which may hold older values of the same lines.
// The trick: whichever block is last, it adds in an order that the shape fixes, so no result
// depends on the order of the blocks.
namespace pal::cuda {

/// Whether this block is the last of `count` to draw from a ticket, which is 0 before and
/// afterwards. What all blocks wrote before is visible to the last one. All threads of the block
/// must call it.
__device__ inline bool is_last_block(unsigned* ticket, unsigned count) {
  PAL_SHARED(unsigned, drawn, 1);
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();  // also for what the others wrote before the barrier
    drawn[0] = atomicAdd(ticket, 1U);
    if (drawn[0] == count - 1) *ticket = 0;
  }
  __syncthreads();
  const bool last = drawn[0] == count - 1;
  __syncthreads();
  if (last) __threadfence();
  return last;
}

/// Adds the rows [begin, end) of pairs [.., channels], float2 or double2, in double and calls
/// use(channel, first, second) in one thread for each of `count` channels from `channel` on. All
/// kThreads threads of the block must call it.
template <typename Pair, typename Use>
__device__ inline void add_pair_rows(const Pair* pairs, int64_t begin, int64_t end, int channels,
                                     int channel, int count, const Use& use) {
  constexpr int kUnroll = 32 / static_cast<int>(sizeof(Pair));
  constexpr int kMostLanes = 16;
  PAL_SHARED(double, firsts, kThreads);
  PAL_SHARED(double, seconds, kThreads);
  const int thread = static_cast<int>(threadIdx.x);
  for (int done = 0; done < count; done += kThreads) {
    const int width = count - done < kThreads ? count - done : kThreads;
    const int fitting = kThreads / width;
    const int lanes = fitting < kMostLanes ? fitting : kMostLanes;
    const int lane = thread / width;
    const int column = channel + done + thread - lane * width;
    double first = 0.0;
    double second = 0.0;
    if (lane < lanes) {
      const int64_t step = int64_t{lanes} * channels;
      const Pair* at = pairs + (begin + lane) * channels + column;
      const Pair* const behind = pairs + end * channels;
#pragma unroll 1
      for (; at < behind; at += kUnroll * step) {
        Pair parts[kUnroll];
#pragma unroll
        for (int i = 0; i < kUnroll; ++i)
          parts[i] = at + i * step < behind ? __ldcg(at + i * step) : Pair{};
#pragma unroll
        for (int i = 0; i < kUnroll; ++i) {
          first += static_cast<double>(parts[i].x);
          second += static_cast<double>(parts[i].y);
        }
      }
    }
    firsts[thread] = first;
    seconds[thread] = second;
    __syncthreads();
    if (lane == 0) {
#pragma unroll 1
      for (int other = 1; other < lanes; ++other) {
        first += firsts[other * width + thread];
        second += seconds[other * width + thread];
      }
      use(column, first, second);
    }
    __syncthreads();
  }
}

}  // namespace pal::cuda
