#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>
#include <thread>

#include "tests/emulator/device_test.h"

// The emulated runtime API: devices, memory, copies, streams, events, errors.
namespace emulator {
namespace {

std::vector<int> iota(size_t n) {
  std::vector<int> values(n);
  std::iota(values.begin(), values.end(), 0);
  return values;
}

TEST_F(DeviceTest, Devices) {
  int count = -1, device = -1;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
  EXPECT_EQ(count, 1);
  EXPECT_EQ(cudaSetDevice(1), cudaErrorInvalidDevice);
  set_device_count(2);
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_EQ(cudaGetDevice(&device), cudaSuccess);
  EXPECT_EQ(device, 1);
  EXPECT_EQ(cudaSetDevice(0), cudaSuccess);

  cudaDeviceProp properties;
  ASSERT_EQ(cudaGetDeviceProperties(&properties, 0), cudaSuccess);
  EXPECT_STREQ(properties.name, "emulated CUDA device");
  EXPECT_EQ(properties.major, 9);
  EXPECT_EQ(properties.multiProcessorCount, 2);
  int processors = 0;
  EXPECT_EQ(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, 0), cudaSuccess);
  EXPECT_EQ(processors, 2);
}

__global__ void nothing_kernel() {}

TEST_F(DeviceTest, WithoutADevice) {
  int count = -1;
  void* p = nullptr;
  set_device_count(0);
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
  EXPECT_EQ(count, 0);
  EXPECT_EQ(cudaMalloc(&p, 64), cudaErrorNoDevice);
  EXPECT_THROW(run(nothing_kernel, 1, 32), Fault);
  set_device_count(1);
  set_driver_version(0);
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
  int version = -1;
  EXPECT_EQ(cudaDriverGetVersion(&version), cudaSuccess);
  EXPECT_EQ(version, 0);
  EXPECT_EQ(cudaRuntimeGetVersion(&version), cudaSuccess);
  EXPECT_EQ(version, 13000);
}

TEST_F(DeviceTest, ErrorsStayUntilTheyAreRead) {
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(cudaFree(this), cudaErrorInvalidValue);
  EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_STREQ(cudaGetErrorName(cudaErrorMemoryAllocation), "cudaErrorMemoryAllocation");
  EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");

  inject_error(cudaErrorIllegalAddress, 1);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

TEST_F(DeviceTest, MemoryLimit) {
  size_t free_bytes = 0, total = 0;
  void *a = nullptr, *b = nullptr;
  set_memory_limit(1000);
  const size_t before = device_bytes();
  EXPECT_EQ(cudaMalloc(&a, 900), cudaSuccess);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a) % 256, 0u);
  EXPECT_EQ(cudaMemGetInfo(&free_bytes, &total), cudaSuccess);
  EXPECT_EQ(total, 1000u);
  EXPECT_EQ(free_bytes, 100u);
  EXPECT_EQ(cudaMalloc(&b, 101), cudaErrorMemoryAllocation);
  EXPECT_EQ(b, nullptr);
  EXPECT_EQ(cudaMalloc(&b, 100), cudaSuccess);
  EXPECT_EQ(cudaFree(a), cudaSuccess);
  EXPECT_EQ(cudaFree(a), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(b), cudaSuccess);
  EXPECT_EQ(cudaFree(nullptr), cudaSuccess);
  EXPECT_EQ(device_bytes(), before);
}

TEST_F(DeviceTest, NewMemoryIsFilledWithOnes) {
  int* p = nullptr;
  int value = 0;
  ASSERT_EQ(cudaMalloc(&p, 4), cudaSuccess);
  EXPECT_EQ(cudaMemcpy(&value, p, 4, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(value, -1);
  cudaFree(p);
}

__global__ void store_kernel(char* y, int i) {
  if (threadIdx.x == 0) y[i] = 1;
}

TEST_F(DeviceTest, CachedBlocksAreUnusable) {
  char* p = nullptr;
  ASSERT_EQ(cudaMalloc(&p, 1024), cudaSuccess);
  set_usable_bytes(p, 100);
  run(store_kernel, 1, 32, p, 99);
  EXPECT_THROW(cudaMemsetAsync(p, 0, 101, stream), Fault);
  EXPECT_THROW(set_usable_bytes(p, 1025), Fault);
  EXPECT_THROW(set_usable_bytes(p + 1, 1), Fault);
  EXPECT_SANITIZER_DEATH(run(store_kernel, 1, 32, p, 100), "use-after-poison");
  set_usable_bytes(p, 0);
  EXPECT_SANITIZER_DEATH(run(store_kernel, 1, 32, p, 0), "use-after-poison");
  set_usable_bytes(p, 101);
  run(store_kernel, 1, 32, p, 100);
  cudaFree(p);
}

TEST_F(DeviceTest, CopiesInAllDirections) {
  const std::vector<int> host = iota(100);
  std::vector<int> back(100);
  Buffer<int> a(100), b(100);
  int* pinned = nullptr;
  ASSERT_EQ(cudaMallocHost(&pinned, 400), cudaSuccess);
  std::copy(host.begin(), host.end(), pinned);
  EXPECT_EQ(cudaMemcpyAsync(a.data(), pinned, 400, cudaMemcpyHostToDevice, stream), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(b.data(), a.data(), 400, cudaMemcpyDeviceToDevice, stream),
            cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(back.data(), b.data(), 400, cudaMemcpyDefault, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(back, host);
  pinned[0] = 9;
  EXPECT_EQ(cudaMemcpyAsync(back.data(), pinned, 4, cudaMemcpyHostToHost, stream), cudaSuccess);
  EXPECT_EQ(back[0], 9);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
}

TEST_F(DeviceTest, CopiesOfRows) {
  Buffer<int> x(iota(24));
  std::vector<int> part(6, -1);
  // The middle two of four columns of rows 1 to 3.
  EXPECT_EQ(
      cudaMemcpy2DAsync(part.data(), 8, x.data() + 5, 16, 8, 3, cudaMemcpyDeviceToHost, stream),
      cudaSuccess);
  EXPECT_EQ(part, (std::vector<int>{5, 6, 9, 10, 13, 14}));
  EXPECT_EQ(cudaMemset2DAsync(x.data() + 1, 16, 0, 8, 6, stream), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(x.data(), 0xff, 4, stream), cudaSuccess);
  std::vector<int> expected = iota(24);
  for (size_t row = 0; row < 6; ++row) expected[row * 4 + 1] = expected[row * 4 + 2] = 0;
  expected[0] = -1;
  EXPECT_EQ(x.values(), expected);
  EXPECT_EQ(cudaMemcpy2DAsync(part.data(), 4, x.data(), 16, 8, 3, cudaMemcpyDeviceToHost, stream),
            cudaErrorInvalidValue);
}

TEST_F(DeviceTest, CopiesAgainstTheDirection) {
  std::vector<int> host(100);
  Buffer<int> a(100), b(100);
  const auto copy = [&](void* to, const void* from, cudaMemcpyKind kind, size_t bytes = 400) {
    return cudaMemcpyAsync(to, from, bytes, kind, stream);
  };
  EXPECT_THROW(copy(host.data(), a.data(), cudaMemcpyHostToDevice), Fault);
  EXPECT_THROW(copy(a.data(), host.data(), cudaMemcpyDeviceToHost), Fault);
  EXPECT_THROW(copy(a.data(), host.data(), cudaMemcpyDeviceToDevice), Fault);
  EXPECT_THROW(copy(a.data(), b.data(), cudaMemcpyHostToDevice), Fault);
  EXPECT_THROW(copy(host.data(), a.data(), cudaMemcpyHostToHost), Fault);
  EXPECT_THROW(copy(a.data(), b.data(), cudaMemcpyDeviceToDevice, 401), Fault);
  EXPECT_THROW(copy(a.data() + 1, host.data(), cudaMemcpyHostToDevice), Fault);
  EXPECT_THROW(cudaMemsetAsync(host.data(), 0, 4, stream), Fault);
  EXPECT_EQ(copy(a.data(), a.data(), cudaMemcpyHostToHost, 0), cudaSuccess);
}

TEST_F(DeviceTest, EventsAndStreams) {
  cudaEvent_t start = nullptr, end = nullptr, untimed = nullptr;
  float milliseconds = -1;
  ASSERT_EQ(cudaEventCreate(&start), cudaSuccess);
  ASSERT_EQ(cudaEventCreate(&end), cudaSuccess);
  ASSERT_EQ(cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventRecord(start, stream), cudaSuccess);
  run(nothing_kernel, 100, 256);
  EXPECT_EQ(cudaEventRecord(end, stream), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(untimed, stream), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(end), cudaSuccess);
  EXPECT_EQ(cudaEventSynchronize(end), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaSuccess);
  EXPECT_GT(milliseconds, 0.0f);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, untimed), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamWaitEvent(stream, end), cudaSuccess);
  EXPECT_EQ(cudaStreamQuery(stream), cudaSuccess);
  for (cudaEvent_t event : {start, end, untimed}) EXPECT_EQ(cudaEventDestroy(event), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(end, stream), cudaErrorInvalidResourceHandle);

  cudaStream_t other = nullptr;
  ASSERT_EQ(cudaStreamCreate(&other), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(other), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(other), cudaErrorInvalidResourceHandle);
  EXPECT_THROW(launch(nothing_kernel, 1, 32, 0, other), Fault);
}

TEST_F(DeviceTest, HostOperationsSeeDeviceMemory) {
  Buffer<int> x(iota(10));
  host_op([p = x.data()] { p[3] += p[4]; });
  EXPECT_EQ(x.values()[3], 7);
  int seen = 0;
  EXPECT_EQ(cudaLaunchHostFunc(
                stream, [](void* p) { ++*static_cast<int*>(p); }, &seen),
            cudaSuccess);
  EXPECT_EQ(seen, 1);
}

__global__ void count_kernel(int* y) { y[blockIdx.x * blockDim.x + threadIdx.x] += 1; }

TEST_F(DeviceTest, ThreadsTakeTurns) {
  Buffer<int> x(128);
  std::thread copier([] {
    cudaStream_t own = nullptr;
    EXPECT_EQ(cudaStreamCreate(&own), cudaSuccess);
    Buffer<int> y(iota(1000));
    for (int i = 0; i < 200; ++i) {
      std::vector<int> back(1000);
      cudaMemcpyAsync(back.data(), y.data(), y.bytes(), cudaMemcpyDeviceToHost, own);
      EXPECT_EQ(back[999], 999);
    }
    cudaStreamDestroy(own);
  });
  for (int i = 0; i < 200; ++i) run(count_kernel, 2, 64, x.data());
  copier.join();
  EXPECT_EQ(x.values(), std::vector<int>(128, 200));
}

}  // namespace
}  // namespace emulator
