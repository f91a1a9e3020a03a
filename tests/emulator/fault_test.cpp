#include <algorithm>
#include <cmath>

#include "tests/emulator/device_test.h"

// Faults planted in kernels, each with its right twin where there is one: all must be caught.
namespace emulator {
namespace {

// Memory

__global__ void fill_kernel(float* y, int n) {
  const int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) y[i] = 1;
}

TEST_F(DeviceTest, GlobalOverrunByOne) {
  for (const size_t n : {64u, 65u, 66u, 67u}) {
    Buffer<float> y(n);
    run(fill_kernel, 2, 64, y.data(), int(n));
    EXPECT_SANITIZER_DEATH(run(fill_kernel, 2, 64, y.data(), int(n) + 1), "use-after-poison");
  }
}

TEST_F(DeviceTest, UseAfterFree) {
  float* y = nullptr;
  ASSERT_EQ(cudaMalloc(&y, 256), cudaSuccess);
  cudaFree(y);
  EXPECT_THROW(run(fill_kernel, 1, 64, y, 64), Fault);
}

TEST_F(DeviceTest, HostPointerForAKernel) {
  float host[64];
  EXPECT_THROW(run(fill_kernel, 1, 64, host, 64), Fault);
  run(fill_kernel, 1, 64, nullptr, 0);
}

TEST_F(DeviceTest, HostReadsDeviceMemory) {
  Buffer<float> y(64);
  const volatile float* p = y.data();
  EXPECT_SANITIZER_DEATH(static_cast<void>(p[3]), "use-after-poison");
  run(fill_kernel, 1, 64, y.data(), 64);
  EXPECT_SANITIZER_DEATH(static_cast<void>(p[3]), "use-after-poison");
}

TEST_F(DeviceTest, HostReadsDeviceMemoryThatWasLeftOpen) {
  // So much memory that closing waits for the next synchronisation.
  Buffer<float> large(1 << 20), y(64);
  run(fill_kernel, 1, 64, y.data(), 64);
  cudaStreamSynchronize(stream);
  const volatile float* p = y.data();
  EXPECT_SANITIZER_DEATH(static_cast<void>(p[3]), "use-after-poison");
}

template <int kExtra>
__global__ void shared_kernel(float* y) {
  TEST_SHARED(float, a, 64);
  a[threadIdx.x + kExtra] = 1;
  __syncthreads();
  y[threadIdx.x] = a[threadIdx.x];
}

TEST_F(DeviceTest, SharedOverrunByOne) {
  EXPECT_TRUE(always_gives(shared_kernel<0>, std::vector<float>(64, 1)));
  Buffer<float> y(64);
  EXPECT_SANITIZER_DEATH(run(shared_kernel<1>, 1, 64, y.data()), "use-after-poison");
}

__global__ void dynamic_kernel(float* y, int n) {
  TEST_SHARED_DYNAMIC(float, a);
  if (int(threadIdx.x) < n) a[threadIdx.x] = 1;
  y[threadIdx.x] = 2;
}

TEST_F(DeviceTest, DynamicSharedOverrunByOne) {
  Buffer<float> y(64);
  launch(dynamic_kernel, 1, 64, 63 * 4, stream, y.data(), 63);
  EXPECT_SANITIZER_DEATH(launch(dynamic_kernel, 1, 64, 63 * 4, stream, y.data(), 64),
                         "use-after-poison");
}

__global__ void local_kernel(float* y, int n) {
  float a[8];
  for (int i = 0; i < n; ++i) a[i] = y[i];
  __syncthreads();
  y[threadIdx.x] = a[threadIdx.x % 8];
}

TEST_F(DeviceTest, LocalOverrunByOne) {
  Buffer<float> y(64);
  run(local_kernel, 1, 64, y.data(), 8);
  EXPECT_SANITIZER_DEATH(run(local_kernel, 1, 64, y.data(), 9),
                         "stack-buffer-overflow|out of bounds");
}

__global__ void vector_store_kernel(float* y, int offset) {
  if (threadIdx.x == 0) reinterpret_cast<float4*>(y + offset)[0] = make_float4(1, 2, 3, 4);
}

TEST_F(DeviceTest, MisalignedVectorStore) {
  Buffer<float> y(64);
  run(vector_store_kernel, 1, 32, y.data(), 4);
  EXPECT_SANITIZER_DEATH(run(vector_store_kernel, 1, 32, y.data(), 1), "misaligned address");
}

__global__ void shared_vector_kernel(float* y) {
  TEST_SHARED(float, a, 64);
  if (threadIdx.x == 0) reinterpret_cast<float4*>(a)[0] = make_float4(1, 2, 3, 4);
  y[threadIdx.x] = 0;
}

TEST_F(DeviceTest, VectorStoreToSharedScalars) {
  Buffer<float> y(64);
  EXPECT_SANITIZER_DEATH(run(shared_vector_kernel, 1, 64, y.data()), "misaligned address");
}

// Races: some order gives another result

std::vector<float> mirrored(float factor) {
  std::vector<float> result(64);
  for (size_t i = 0; i < 64; ++i) result[i] = factor * float(63 - i);
  return result;
}

template <bool kBarrier>
__global__ void mirror_kernel(float* y) {
  TEST_SHARED(float, a, 64);
  a[threadIdx.x] = float(threadIdx.x);
  if (kBarrier) __syncthreads();
  y[threadIdx.x] = a[63 - threadIdx.x];
}

TEST_F(DeviceTest, MissingBarrierBeforeARead) {
  EXPECT_TRUE(always_gives(mirror_kernel<true>, mirrored(1)));
  EXPECT_FALSE(always_gives(mirror_kernel<false>, mirrored(1)));
}

TEST_F(DeviceTest, SharedMemoryReadBeforeItIsWrittenIsNaN) {
  Buffer<float> y(64);
  run(mirror_kernel<false>, 1, 64, y.data());
  EXPECT_TRUE(std::isnan(y.values()[0]));
}

template <bool kBarrier>
__global__ void reuse_kernel(float* y) {
  TEST_SHARED(float, a, 64);
  a[threadIdx.x] = float(threadIdx.x);
  __syncthreads();
  const float first = a[63 - threadIdx.x];
  if (kBarrier) __syncthreads();
  a[threadIdx.x] = 2 * float(threadIdx.x);
  __syncthreads();
  y[threadIdx.x] = first + a[63 - threadIdx.x];
}

TEST_F(DeviceTest, MissingBarrierBeforeABufferIsUsedAgain) {
  EXPECT_TRUE(always_gives(reuse_kernel<true>, mirrored(3)));
  EXPECT_FALSE(always_gives(reuse_kernel<false>, mirrored(3)));
}

template <bool kBarrier>
__global__ void warp_kernel(float* y) {
  TEST_SHARED(float, a, 64);
  a[threadIdx.x] = float(threadIdx.x);
  if (kBarrier) __syncwarp();
  y[threadIdx.x] = a[threadIdx.x ^ 31];
}

TEST_F(DeviceTest, MissingWarpBarrier) {
  std::vector<float> expected(64);
  for (size_t i = 0; i < 64; ++i) expected[i] = float(i ^ 31);
  EXPECT_TRUE(always_gives(warp_kernel<true>, expected));
  EXPECT_FALSE(always_gives(warp_kernel<false>, expected));
}

__global__ void accumulate_kernel(const float* x, float* y) {
  if (threadIdx.x == 0) y[0] += x[blockIdx.x];
}

TEST_F(DeviceTest, SumOverBlocksDependsOnTheirOrder) {
  Buffer<float> x(std::vector<float>{1e8f, 1, 2, 3, -1e8f, 4});
  std::vector<float> sums;
  in_all_orders([&] {
    Buffer<float> y(1);
    run(accumulate_kernel, 6, 32, x.data(), y.data());
    sums.push_back(y.values()[0]);
  });
  EXPECT_NE(sums, std::vector<float>(sums.size(), sums[0]));
}

// Wrong results

template <int kFirst>
__global__ void warp_sum_kernel(float* y) {
  float v = 1;
  for (int d = kFirst; d > 0; d /= 2) v += __shfl_xor_sync(0xffffffffu, v, d);
  y[threadIdx.x] = v;
}

TEST_F(DeviceTest, WarpSumOfHalfTheLanes) {
  EXPECT_TRUE(always_gives(warp_sum_kernel<16>, std::vector<float>(64, 32)));
  EXPECT_FALSE(always_gives(warp_sum_kernel<8>, std::vector<float>(64, 32)));
}

template <int kOffset>
__global__ void neighbour_kernel(float* y) {
  TEST_SHARED(float, a, 65);
  a[threadIdx.x] = float(threadIdx.x);
  if (threadIdx.x == 0) a[64] = 64;
  __syncthreads();
  y[threadIdx.x] = a[threadIdx.x + kOffset];
}

TEST_F(DeviceTest, OffByOneIndexReadsTheNeighbour) {
  std::vector<float> expected = mirrored(1);
  std::reverse(expected.begin(), expected.end());
  EXPECT_TRUE(always_gives(neighbour_kernel<0>, expected));
  EXPECT_FALSE(always_gives(neighbour_kernel<1>, expected));
}

// Divergence

// Caught, and the emulator goes on working.
#define EXPECT_FAULT(kernel, text)                                                        \
  in_all_orders([&] {                                                                     \
    Buffer<float> y(64);                                                                  \
    try {                                                                                 \
      run(kernel, 1, 64, y.data());                                                       \
      ADD_FAILURE() << "no fault";                                                        \
    } catch (const Fault& fault) {                                                        \
      EXPECT_NE(std::string(fault.what()).find(text), std::string::npos) << fault.what(); \
    }                                                                                     \
    run(mirror_kernel<true>, 1, 64, y.data());                                            \
    EXPECT_EQ(y.values(), mirrored(1));                                                   \
  })

__global__ void early_return_kernel(float* y) {
  if (threadIdx.x == 7) return;
  __syncthreads();
  y[threadIdx.x] = 1;
}

__global__ void two_barriers_kernel(float* y) {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  y[threadIdx.x] = 1;
}

__device__ void helper(std::source_location caller = std::source_location::current()) {
  const CallScope scope(caller);
  __syncthreads();
}

__global__ void two_helpers_kernel(float* y) {
  if (threadIdx.x < 32) {
    helper();
  } else {
    helper();
  }
  y[threadIdx.x] = 1;
}

__global__ void one_helper_kernel(float* y) {
  for (int i = 0; i < 3; ++i) helper();
  helper();
  y[threadIdx.x] = 1;
}

TEST_F(DeviceTest, DivergentBarriers) {
  EXPECT_FAULT(early_return_kernel, "not reached by thread 7,0,0");
  EXPECT_FAULT(two_barriers_kernel, "at different places");
  EXPECT_FAULT(two_helpers_kernel, "at different places");
  EXPECT_TRUE(always_gives(one_helper_kernel, std::vector<float>(64, 1)));
}

__global__ void partial_warp_kernel(float* y) {
  if (threadIdx.x < 8) y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
}

__global__ void waiting_lanes_kernel(float* y) {
  if (threadIdx.x % 32 < 8) y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
  __syncthreads();
}

__global__ void two_shuffles_kernel(float* y) {
  if (threadIdx.x % 32 < 8)
    y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
  else
    y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
}

__global__ void outside_source_kernel(float* y) {
  if (threadIdx.x % 32 < 8) y[threadIdx.x] = __shfl_xor_sync(0xffu, 1.0f, 8);
}

__global__ void outside_mask_kernel(float* y) { y[threadIdx.x] = __shfl_sync(0xffu, 1.0f, 0); }

__global__ void width_kernel(float* y) { y[threadIdx.x] = __shfl_sync(0xffffffffu, 1.0f, 0, 12); }

TEST_F(DeviceTest, PartialWarps) {
  EXPECT_FAULT(partial_warp_kernel, "have returned");
  EXPECT_FAULT(waiting_lanes_kernel, "not reached by every lane");
  EXPECT_FAULT(two_shuffles_kernel, "in different warp functions");
  EXPECT_FAULT(outside_source_kernel, "outside its mask");
  EXPECT_FAULT(outside_mask_kernel, "outside the mask");
  EXPECT_FAULT(width_kernel, "power of two");
}

__global__ void trap_kernel(float* y) {
  __syncthreads();
  if (threadIdx.x == 40) __trap();
  y[threadIdx.x] = 1;
}

TEST_F(DeviceTest, Trap) { EXPECT_FAULT(trap_kernel, "__trap"); }

// Launches

TEST_F(DeviceTest, LaunchesThatHardwareRefuses) {
  Buffer<float> y(64);
  const auto go = [&](dim3 grid, dim3 block) { run(fill_kernel, grid, block, y.data(), 0); };
  go(1, 1024);
  go(dim3(1, 2, 3), dim3(16, 8, 8));
  EXPECT_THROW(go(0, 64), Fault);
  EXPECT_THROW(go(dim3(1, 0), 64), Fault);
  EXPECT_THROW(go(dim3(1, 65536), 64), Fault);
  EXPECT_THROW(go(dim3(1, 1, 65536), 64), Fault);
  EXPECT_THROW(go(0x80000000u, 64), Fault);
  EXPECT_THROW(go(1, 0), Fault);
  EXPECT_THROW(go(1, 48), Fault);
  EXPECT_THROW(go(1, 1056), Fault);
  EXPECT_THROW(go(1, dim3(1, 1, 128)), Fault);
}

template <int kFloats>
__global__ void large_shared_kernel(float* y) {
  TEST_SHARED(float, a, kFloats);
  a[threadIdx.x] = 1;
  y[threadIdx.x] = a[threadIdx.x];
}

TEST_F(DeviceTest, SharedMemoryLimits) {
  Buffer<float> y(64);
  const auto go = [&](auto kernel, size_t bytes) {
    launch(kernel, 1, 64, bytes, stream, y.data());
  };
  go(large_shared_kernel<12 * 1024>, 0);
  EXPECT_THROW(go(large_shared_kernel<12 * 1024 + 1>, 0), Fault);
  EXPECT_THROW(go(large_shared_kernel<12 * 1024>, 4), Fault);
  go(large_shared_kernel<64>, 48 * 1024 - 256);
  EXPECT_THROW(go(large_shared_kernel<64>, 48 * 1024), Fault);
  EXPECT_THROW(go(large_shared_kernel<64>, 48 * 1024 + 4), Fault);

  EXPECT_EQ(cudaFuncSetAttribute(large_shared_kernel<64>,
                                 cudaFuncAttributeMaxDynamicSharedMemorySize, 227 * 1024),
            cudaSuccess);
  go(large_shared_kernel<64>, 227 * 1024 - 256);
  EXPECT_THROW(go(large_shared_kernel<64>, 227 * 1024 + 4), Fault);
  EXPECT_EQ(cudaFuncSetAttribute(large_shared_kernel<64>,
                                 cudaFuncAttributeMaxDynamicSharedMemorySize, 227 * 1024 + 1),
            cudaErrorInvalidValue);
}

TEST_F(DeviceTest, NoDynamicSharedMemoryWasAskedFor) {
  Buffer<float> y(64);
  EXPECT_THROW(run(dynamic_kernel, 1, 64, y.data(), 0), Fault);
}

}  // namespace
}  // namespace emulator
