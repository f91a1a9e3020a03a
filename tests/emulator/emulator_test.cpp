#include <algorithm>
#include <cstdint>
#include <numeric>

#include "tests/emulator/device_test.h"

// What right kernels may rely on.
namespace emulator {
namespace {

__global__ void indices_kernel(int* y) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  y[block * blockDim.x * blockDim.y * blockDim.z + thread] += int(block * 1000 + thread);
}

TEST_F(DeviceTest, EveryThreadOfEveryBlockRunsOnce) {
  const dim3 grid(3, 2, 2), block(8, 4, 2);
  in_all_orders([&] {
    Buffer<int> y(12 * 64);
    run(indices_kernel, grid, block, y.data());
    const std::vector<int> got = y.values();
    for (int i = 0; i < 12 * 64; ++i) ASSERT_EQ(got[size_t(i)], i / 64 * 1000 + i % 64);
  });
}

template <class T>
__device__ T warp_sum(T v) {
#pragma unroll
  for (int d = 16; d > 0; d /= 2) v += __shfl_xor_sync(0xffffffffu, v, d);
  return v;
}

template <int kThreads, class T>
__device__ T block_sum(T v) {
  TEST_SHARED(T, partial, 32);
  v = warp_sum(v);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = v;
  __syncthreads();
  v = threadIdx.x % 32 < kThreads / 32 ? partial[threadIdx.x % 32] : T{};
  __syncthreads();
  return warp_sum(v);
}

template <int kThreads, class T>
__global__ void __launch_bounds__(kThreads)
    sum_kernel(const T* __restrict__ x, T* __restrict__ y, int n) {
  T first{}, second{};
  for (int i = int(threadIdx.x); i < n; i += kThreads) {
    first += x[blockIdx.x * unsigned(n) + unsigned(i)];
    second += T(1);
  }
  first = block_sum<kThreads>(first);
  second = block_sum<kThreads>(second);
  if (threadIdx.x == 0) y[blockIdx.x] = first + second;
}

template <int kThreads, class T>
void expect_sums(cudaStream_t stream) {
  std::vector<T> values(3 * 1000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = T(i % 7);
  Buffer<T> x(values), y(3);
  launch(sum_kernel<kThreads, T>, 3, kThreads, 0, stream, x.data(), y.data(), 1000);
  const std::vector<T> got = y.values();
  for (size_t b = 0; b < 3; ++b)
    ASSERT_EQ(got[b], std::accumulate(values.begin() + int(b) * 1000,
                                      values.begin() + int(b + 1) * 1000, T(1000)));
}

TEST_F(DeviceTest, BlockSumsAreRightInAllOrders) {
  in_all_orders([&] {
    expect_sums<32, float>(stream);
    expect_sums<256, float>(stream);
    expect_sums<1024, float>(stream);
    expect_sums<256, double>(stream);
    expect_sums<96, int>(stream);
    expect_sums<64, unsigned long long>(stream);
  });
}

template <class T>
__global__ void shuffle_kernel(T* y) {
  const unsigned full = 0xffffffffu, t = threadIdx.x;
  const T v = T(t) + T(100);
  T* row = y + t * 10;
  row[0] = __shfl_sync(full, v, 5);
  row[1] = __shfl_sync(full, v, int(t) + 3, 8);
  row[2] = __shfl_up_sync(full, v, 1);
  row[3] = __shfl_up_sync(full, v, 3, 8);
  row[4] = __shfl_down_sync(full, v, 1);
  row[5] = __shfl_down_sync(full, v, 3, 8);
  row[6] = __shfl_xor_sync(full, v, 16);
  row[7] = __shfl_xor_sync(full, v, 12, 8);
  // Half warps of their own.
  const unsigned half = t < 16 ? 0xffffu : 0xffff0000u;
  row[8] = __shfl_xor_sync(half, v, 8);
  if (t < 16) row[9] = __shfl_sync(0xffffu, v, 15 - int(t));
}

template <class T>
void expect_shuffles(cudaStream_t stream) {
  Buffer<T> y(32 * 10);
  launch(shuffle_kernel<T>, 1, 32, 0, stream, y.data());
  const std::vector<T> got = y.values();
  for (int t = 0; t < 32; ++t) {
    const int segment = t / 8 * 8;
    const int across = t ^ 12;
    const int lanes[] = {5,
                         segment + (t + 3) % 8,
                         t > 0 ? t - 1 : t,
                         t - 3 >= segment ? t - 3 : t,
                         t < 31 ? t + 1 : t,
                         t + 3 < segment + 8 ? t + 3 : t,
                         t ^ 16,
                         across < segment + 8 ? across : t,
                         t ^ 8};
    for (int k = 0; k < 9; ++k)
      ASSERT_EQ(got[size_t(t * 10 + k)], T(lanes[k] + 100)) << "lane " << t << " shuffle " << k;
    ASSERT_EQ(got[size_t(t * 10 + 9)], t < 16 ? T(15 - t + 100) : T(0));
  }
}

TEST_F(DeviceTest, ShufflesOfAllKinds) {
  in_all_orders([&] {
    expect_shuffles<int>(stream);
    expect_shuffles<unsigned>(stream);
    expect_shuffles<int64_t>(stream);
    expect_shuffles<long long>(stream);
    expect_shuffles<float>(stream);
    expect_shuffles<double>(stream);
  });
}

__global__ void vote_kernel(unsigned* y) {
  const unsigned t = threadIdx.x, full = 0xffffffffu;
  unsigned* row = y + t * 5;
  row[0] = __ballot_sync(full, t % 3 == 0);
  row[1] = unsigned(__any_sync(full, t == 40));
  row[2] = unsigned(__all_sync(full, t < 32));
  row[3] = unsigned(__any_sync(full, 0));
  row[4] = unsigned(__popc(__ballot_sync(full, 2)));
}

TEST_F(DeviceTest, Votes) {
  in_all_orders([&] {
    Buffer<unsigned> y(64 * 5);
    run(vote_kernel, 1, 64, y.data());
    const std::vector<unsigned> got = y.values();
    for (unsigned t = 0; t < 64; ++t) {
      unsigned thirds = 0;
      for (unsigned l = 0; l < 32; ++l) thirds |= unsigned((t / 32 * 32 + l) % 3 == 0) << l;
      const unsigned* row = &got[t * 5];
      EXPECT_EQ(row[0], thirds);
      EXPECT_EQ(row[1], unsigned(t >= 32));
      EXPECT_EQ(row[2], unsigned(t < 32));
      EXPECT_EQ(row[3], 0u);
      EXPECT_EQ(row[4], 32u);
    }
  });
}

__global__ void atomics_kernel(int* sum, unsigned* bits, unsigned long long* count, int* extremes,
                               unsigned* swaps) {
  const int t = int(threadIdx.x);
  atomicAdd(sum, t);
  atomicOr(bits, 1u << (t % 32));
  atomicAdd(count, 1ull << 32);
  atomicMax(extremes, t * 7 % 64);
  atomicMin(extremes + 1, t * 7 % 64);
  if (atomicCAS(swaps, 0u, 5u) == 0) atomicExch(swaps + 1, 9u);
}

TEST_F(DeviceTest, AtomicsOfIntegers) {
  in_all_orders([&] {
    Buffer<int> sum(1), extremes(std::vector<int>{-1, 99});
    Buffer<unsigned> bits(1), swaps(2);
    Buffer<unsigned long long> count(1);
    run(atomics_kernel, 2, 64, sum.data(), bits.data(), count.data(), extremes.data(),
        swaps.data());
    EXPECT_EQ(sum.values()[0], 2 * 63 * 32);
    EXPECT_EQ(bits.values()[0], 0xffffffffu);
    EXPECT_EQ(count.values()[0], 128ull << 32);
    EXPECT_EQ(extremes.values(), (std::vector<int>{63, 0}));
    EXPECT_EQ(swaps.values(), (std::vector<unsigned>{5, 9}));
  });
}

template <class T>
concept CanAtomicAdd = requires(T* address, T value) {
  atomicAdd(address, value);
};
static_assert(CanAtomicAdd<int> && CanAtomicAdd<unsigned> && CanAtomicAdd<unsigned long long>);
static_assert(!CanAtomicAdd<float> && !CanAtomicAdd<double>,
              "sums of floats would depend on the order of the threads");

__global__ void dynamic_kernel(const float4* x, float4* y) {
  TEST_SHARED_DYNAMIC(float4, tile);
  const unsigned t = threadIdx.x;
  tile[t] = x[t];
  __syncthreads();
  y[t] = tile[blockDim.x - 1 - t];
}

TEST_F(DeviceTest, DynamicSharedMemoryHoldsVectors) {
  std::vector<float4> values(64);
  for (size_t i = 0; i < 64; ++i) values[i] = make_float4(float(i), 1, 2, 3);
  Buffer<float4> x(values), y(64);
  in_all_orders([&] {
    launch(dynamic_kernel, 1, 64, 64 * sizeof(float4), stream, x.data(), y.data());
    EXPECT_EQ(y.values()[10].x, 53.0f);
  });
}

__global__ void fresh_kernel(int* y) {
  TEST_SHARED(int, a, 64);
  y[blockIdx.x * 64 + threadIdx.x] = a[threadIdx.x];
  a[threadIdx.x] = 7;
}

TEST_F(DeviceTest, SharedMemoryStartsAsOnesInEveryBlock) {
  Buffer<int> y(3 * 64);
  run(fresh_kernel, 3, 64, y.data());
  EXPECT_EQ(y.values(), std::vector<int>(3 * 64, -1));
}

__global__ void bits_kernel(int* y) {
  y[0] = __float_as_int(1.0f);
  y[1] = int(__int_as_float(0x40000000));
  y[2] = __popc(0xf0u) + __clz(1) + __ffs(8) + __ffs(0);
  y[3] = int(rsqrtf(0.25f) * 10) + int(fmaxf(1.0f, 3.0f)) + int(fminf(1.0f, 3.0f));
  y[4] = int(__umulhi(0x80000000u, 6u)) + __ldg(y);
}

TEST_F(DeviceTest, BitsAndNumbers) {
  Buffer<int> y(5);
  run(bits_kernel, 1, 32, y.data());
  EXPECT_EQ(y.values(), (std::vector<int>{0x3f800000, 2, 4 + 31 + 4, 24, 3 + 0x3f800000}));
}

__global__ void order_kernel(int* next, int* rank) {
  rank[blockIdx.x * blockDim.x + threadIdx.x] = atomicAdd(next, 1);
}

TEST_F(DeviceTest, OrdersAreWhatTheySay) {
  const auto ranks = [&](Order order, uint64_t seed) {
    set_order(order, seed);
    Buffer<int> next(1), rank(4 * 64);
    run(order_kernel, 4, 64, next.data(), rank.data());
    return rank.values();
  };
  std::vector<int> ascending(4 * 64), sorted;
  std::iota(ascending.begin(), ascending.end(), 0);
  EXPECT_EQ(ranks(Order::forward, 0), ascending);
  EXPECT_EQ(ranks(Order::reverse, 0), std::vector<int>(ascending.rbegin(), ascending.rend()));
  sorted = ranks(Order::shuffled, 1);
  EXPECT_NE(sorted, ascending);
  EXPECT_EQ(sorted, ranks(Order::shuffled, 1));
  EXPECT_NE(sorted, ranks(Order::shuffled, 2));
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(sorted, ascending);
}

}  // namespace
}  // namespace emulator
