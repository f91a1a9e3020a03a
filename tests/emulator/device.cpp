#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "tests/emulator/control.h"
#include "tests/emulator/graph.h"
#include "tests/emulator/launch.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/shared_memory.h"

using namespace emulator::detail;

namespace {

constexpr int kProcessors = 2;
constexpr int kCacheBytes = 1 << 20;

std::atomic<int> device_count{-1};
std::atomic<int> driver_version{13000};
thread_local int selected_device = 0;

int devices() {
  if (device_count < 0) {
    const char* text = std::getenv("PAL_EMULATED_DEVICES");
    device_count = text ? std::max(0, std::atoi(text)) : 0;
  }
  return device_count;
}

/// Its number on the machine: of the digits in CUDA_VISIBLE_DEVICES the one for it.
char machine_number(int device) {
  const char* text = std::getenv("CUDA_VISIBLE_DEVICES");
  for (int i = device; text && *text; ++text)
    if (*text != ',' && i-- == 0) return *text;
  return char('0' + device);
}

bool is_device(int device) { return device >= 0 && device < devices(); }

}  // namespace

namespace emulator {

void set_device_count(int count) { device_count = std::max(0, count); }
void set_driver_version(int version) { driver_version = version; }

cudaError_t detail::device_state() {
  if (driver_version < 13000) return cudaErrorInsufficientDriver;
  return devices() > 0 ? cudaSuccess : cudaErrorNoDevice;
}

int detail::current_device() { return selected_device; }

}  // namespace emulator

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  if (const cudaError_t error = begin_call()) return error;
  *count = devices();
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (const cudaError_t error = begin_call()) return error;
  if (!is_device(device)) return end_call(cudaErrorInvalidDevice);
  selected_device = device;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  if (const cudaError_t error = begin_call()) return error;
  *device = selected_device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (const cudaError_t error = begin_call()) return error;
  if (!is_device(device)) return end_call(cudaErrorInvalidDevice);
  cudaDeviceProp p{};
  std::snprintf(p.name, sizeof p.name, "emulated CUDA device");
  p.uuid.bytes[0] = machine_number(device);
  p.totalGlobalMem = memory_limit();
  p.sharedMemPerBlock = kSharedBytes;
  p.sharedMemPerBlockOptin = kSharedBytesOptIn;
  p.sharedMemPerMultiprocessor = kSharedBytesOptIn + 1024;
  p.regsPerBlock = 65536;
  p.warpSize = 32;
  p.maxThreadsPerBlock = 1024;
  p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024;
  p.maxThreadsDim[2] = 64;
  p.maxGridSize[0] = 0x7fffffff;
  p.maxGridSize[1] = p.maxGridSize[2] = 65535;
  p.major = 9;
  p.multiProcessorCount = kProcessors;
  p.pciBusID = device + 1;
  p.memoryBusWidth = 64;
  p.l2CacheSize = kCacheBytes;
  p.maxThreadsPerMultiProcessor = 2048;
  p.maxBlocksPerMultiProcessor = 32;
  *properties = p;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties;
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, device)) return error;
  switch (attribute) {
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = int(properties.sharedMemPerBlock);
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = int(properties.sharedMemPerBlockOptin);
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = properties.multiProcessorCount;
      return cudaSuccess;
    case cudaDevAttrL2CacheSize:
      *value = properties.l2CacheSize;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = properties.major;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = properties.minor;
      return cudaSuccess;
  }
  return end_call(cudaErrorInvalidValue);
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = driver_version;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  if (const cudaError_t error = begin_call()) return error;
  if (!kernel || attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
      std::size_t(value) > kSharedBytesOptIn)
    return end_call(cudaErrorInvalidValue);
  raise_shared_limit(kernel, std::max(std::size_t(value), kSharedBytes));
  return cudaSuccess;
}
