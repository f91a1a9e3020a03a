#include "runtime/cuda.h"

#include "runtime/error.h"

#ifdef PAL_CUDA
#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>

#include "runtime/launch.cuh"
#include "runtime/log.h"
#endif

namespace pal::cuda {

#ifndef PAL_CUDA

namespace {

[[noreturn]] void no_backend() {
  fail(ErrorKind::environment,
       "device cuda: this build has no CUDA backend; build with -DPALINDROME_CUDA=ON, or use "
       "device cpu");
}

}  // namespace

int device_count() { return 0; }
void use(int) { no_backend(); }
std::string runtime_version() { return {}; }
DeviceInfo device_info() { no_backend(); }
DeviceMemory device_memory() { no_backend(); }
void synchronize() { no_backend(); }
bool is_capturing() { return false; }
void copy_to_device(void*, int64_t, const void*, int64_t, int64_t, int64_t) { no_backend(); }
void copy_to_host(void*, int64_t, const void*, int64_t, int64_t, int64_t) { no_backend(); }
void copy_on_device(void*, int64_t, const void*, int64_t, int64_t, int64_t) { no_backend(); }
void fill(void*, int64_t, int64_t, int64_t, const void*, int64_t) { no_backend(); }
void* allocate(int64_t) { no_backend(); }
void release(void*) noexcept {}
void* allocate_pinned(int64_t) { no_backend(); }
void release_pinned(void*) noexcept {}
void copy_to_pinned(void*, const void*, int64_t) { no_backend(); }
void upload(void*, const void*, int64_t) { no_backend(); }
Event::~Event() = default;
void Event::record(Stream) { no_backend(); }
void Event::wait() const {}
void Event::wait(const std::function<void()>&) const {}
uint64_t recording_id() { return 0; }
void Event::hold(Stream) const {}
bool emulated() { return false; }

#else

namespace {

constexpr int kOldestMajor = 8;
constexpr int64_t kTickets = 65536;
constexpr auto kPause = std::chrono::microseconds(50);

/// The process's GPU.
struct Selected {
  int index = -1;
  cudaStream_t stream = nullptr;
  unsigned* tickets = nullptr;
  cudaStream_t upload_stream = nullptr;
  cudaStream_t communication_stream = nullptr;
  DeviceInfo info;
};

#ifdef PAL_EMULATE_CUDA
/// That of the calling thread, in place of the process's.
thread_local std::unique_ptr<Selected> own_device;
#endif

Selected& selected() {
#ifdef PAL_EMULATE_CUDA
  if (own_device) return *own_device;
#endif
  static Selected instance;
  return instance;
}

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

/// GPUs that the driver shows; -1, with the reason, if it shows none.
int visible_devices(std::string* why) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count > 0) return count;
  // The failed call must not be found by the check of a later launch.
  (void)cudaGetLastError();
  if (status == cudaErrorInsufficientDriver)
    *why = "no NVIDIA driver, or one older than CUDA " + runtime_version();
  else if (status == cudaErrorNoDevice || count == 0)
    *why = "no NVIDIA GPU found";
  else
    *why = cudaGetErrorString(status);
  return -1;
}

DeviceInfo describe(int index) {
  cudaDeviceProp properties;
  PAL_CUDA_CHECK(cudaGetDeviceProperties(&properties, index));
  int driver = 0;
  PAL_CUDA_CHECK(cudaDriverGetVersion(&driver));
  DeviceInfo info;
  info.name = properties.name;
  info.major = properties.major;
  info.minor = properties.minor;
  info.multiprocessors = properties.multiProcessorCount;
  info.memory = static_cast<int64_t>(properties.totalGlobalMem);
  info.driver = version_text(driver);
  info.runtime = runtime_version();
  return info;
}

void require_selected() {
  if (selected().index < 0) use(0);
}

void copy(void* to, int64_t to_pitch, const void* from, int64_t from_pitch, int64_t row_bytes,
          int64_t rows, cudaMemcpyKind kind, cudaStream_t on = stream()) {
  if (row_bytes == 0 || rows == 0) return;
  const auto size = [](int64_t bytes) { return static_cast<size_t>(bytes); };
  if (rows == 1)
    PAL_CUDA_CHECK(cudaMemcpyAsync(to, from, size(row_bytes), kind, on));
  else
    PAL_CUDA_CHECK(cudaMemcpy2DAsync(to, size(to_pitch), from, size(from_pitch), size(row_bytes),
                                     size(rows), kind, on));
}

/// Few processes need it.
cudaStream_t communication_stream(Selected& s) {
  if (s.communication_stream == nullptr) {
    int least = 0;
    int greatest = 0;
    PAL_CUDA_CHECK(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    PAL_CUDA_CHECK(
        cudaStreamCreateWithPriority(&s.communication_stream, cudaStreamNonBlocking, greatest));
  }
  return s.communication_stream;
}

/// The first memory that a process takes of its GPU.
unsigned* allocate_tickets(const DeviceInfo& info) {
  void* tickets = nullptr;
  const cudaError_t status = cudaMalloc(&tickets, kTickets * sizeof(unsigned));
  if (status == cudaErrorMemoryAllocation)
    fail(
        ErrorKind::environment,
        "device cuda: {} has no memory left; other programs hold it (nvidia-smi shows which): wait "
        "for them, or use another GPU",
        info.name);
  PAL_CUDA_CHECK(status);
  return static_cast<unsigned*>(tickets);
}

}  // namespace

void check(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  const bool environment = status == cudaErrorMemoryAllocation || status == cudaErrorNoDevice ||
                           status == cudaErrorInsufficientDriver;
  fail(environment ? ErrorKind::environment : ErrorKind::failure, "cuda: {}: {} ({}:{}: {})",
       cudaGetErrorName(status), cudaGetErrorString(status), file, line, call);
}

std::string runtime_version() {
  int version = 0;
  PAL_CUDA_CHECK(cudaRuntimeGetVersion(&version));
  return version_text(version);
}

int device_count() {
  std::string why;
  const int count = visible_devices(&why);
  if (count < 0) return 0;
  int usable = 0;
  while (usable < count && describe(usable).major >= kOldestMajor) ++usable;
  return usable;
}

void use(int index) {
  Selected& s = selected();
  if (s.index == index) return;
  std::string why;
  const int count = visible_devices(&why);
  if (count < 0) fail(ErrorKind::environment, "device cuda:{}: {}; use device cpu", index, why);
  if (index >= count)
    fail(ErrorKind::environment, "device cuda:{}: this machine has {} GPU{}, the first is cuda:0",
         index, count, count == 1 ? "" : "s");
  expect(s.index < 0, "device: this process uses cuda:{} already, not cuda:{}", s.index, index);
  const DeviceInfo info = describe(index);
  if (info.major < kOldestMajor)
    fail(ErrorKind::environment,
         "device cuda:{}: {} has compute capability {}.{}, and {}.0 is the oldest supported; use "
         "device cpu",
         index, info.name, info.major, info.minor, kOldestMajor);
  PAL_CUDA_CHECK(cudaSetDevice(index));
  if (s.tickets == nullptr) s.tickets = allocate_tickets(info);
  PAL_CUDA_CHECK(cudaStreamCreateWithFlags(&s.stream, cudaStreamNonBlocking));
  PAL_CUDA_CHECK(cudaMemsetAsync(s.tickets, 0, kTickets * sizeof(unsigned), s.stream));
  PAL_CUDA_CHECK(cudaStreamCreateWithFlags(&s.upload_stream, cudaStreamNonBlocking));
  s.index = index;
  s.info = info;
}

DeviceInfo device_info() {
  require_selected();
  return selected().info;
}

cudaStream_t stream() {
  require_selected();
  return selected().stream;
}

unsigned* tickets(int64_t count) {
  require_selected();
  expect(count <= kTickets, "cuda: no kernel for {} groups of blocks", count);
  return selected().tickets;
}

cudaStream_t stream(Stream which) {
  require_selected();
  Selected& s = selected();
  switch (which) {
    case Stream::compute:
      break;
    case Stream::upload:
      return s.upload_stream;
    case Stream::communication:
      return communication_stream(s);
  }
  return s.stream;
}

DeviceMemory device_memory() {
  require_selected();
  size_t free = 0;
  size_t total = 0;
  PAL_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return {static_cast<int64_t>(free), static_cast<int64_t>(total)};
}

void synchronize() { PAL_CUDA_CHECK(cudaStreamSynchronize(stream())); }

bool is_capturing() {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  PAL_CUDA_CHECK(cudaStreamIsCapturing(stream(), &status));
  return status != cudaStreamCaptureStatusNone;
}

void copy_to_device(void* to, int64_t to_pitch, const void* from, int64_t from_pitch,
                    int64_t row_bytes, int64_t rows) {
  copy(to, to_pitch, from, from_pitch, row_bytes, rows, cudaMemcpyHostToDevice);
}

void copy_to_host(void* to, int64_t to_pitch, const void* from, int64_t from_pitch,
                  int64_t row_bytes, int64_t rows) {
  copy(to, to_pitch, from, from_pitch, row_bytes, rows, cudaMemcpyDeviceToHost);
  synchronize();
}

void* allocate(int64_t bytes) {
  require_selected();
  void* pointer = nullptr;
  const cudaError_t status = cudaMalloc(&pointer, static_cast<size_t>(bytes));
  if (status == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    return nullptr;
  }
  PAL_CUDA_CHECK(status);
  return pointer;
}

void release(void* pointer) noexcept {
  // At the end of a process the driver may be gone before the last tensor.
  if (cudaFree(pointer) != cudaSuccess) (void)cudaGetLastError();
}

void* allocate_pinned(int64_t bytes) {
  require_selected();
  void* pointer = nullptr;
  PAL_CUDA_CHECK(cudaMallocHost(&pointer, static_cast<size_t>(bytes)));
  return pointer;
}

void release_pinned(void* pointer) noexcept {
  // A call for nothing would still make a context on the GPU.
  if (pointer != nullptr && cudaFreeHost(pointer) != cudaSuccess) (void)cudaGetLastError();
}

void copy_to_pinned(void* to, const void* from, int64_t bytes) {
  copy(to, bytes, from, bytes, bytes, 1, cudaMemcpyDeviceToHost);
}

void upload(void* to, const void* from, int64_t bytes) {
  copy(to, bytes, from, bytes, bytes, 1, cudaMemcpyHostToDevice, stream(Stream::upload));
}

Event::~Event() {
  if (event_ != nullptr && cudaEventDestroy(static_cast<cudaEvent_t>(event_)) != cudaSuccess)
    (void)cudaGetLastError();
}

void Event::record(Stream stream) {
  if (event_ == nullptr) {
    cudaEvent_t event = nullptr;
    PAL_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    event_ = event;
  }
  PAL_CUDA_CHECK(cudaEventRecord(static_cast<cudaEvent_t>(event_), cuda::stream(stream)));
}

void Event::wait() const {
  if (event_ != nullptr) PAL_CUDA_CHECK(cudaEventSynchronize(static_cast<cudaEvent_t>(event_)));
}

void Event::wait(const std::function<void()>& meanwhile) const {
  if (event_ == nullptr) return;
  for (;;) {
    const cudaError_t status = cudaEventQuery(static_cast<cudaEvent_t>(event_));
    if (status != cudaErrorNotReady) {
      PAL_CUDA_CHECK(status);
      return;
    }
    // The check of a later launch must not find it.
    (void)cudaGetLastError();
    meanwhile();
    std::this_thread::sleep_for(kPause);
  }
}

uint64_t recording_id() {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  unsigned long long id = 0;
  PAL_CUDA_CHECK(cudaStreamGetCaptureInfo(stream(), &status, &id));
  return status == cudaStreamCaptureStatusActive ? id : 0;
}

void Event::hold(Stream stream) const {
  if (event_ != nullptr)
    PAL_CUDA_CHECK(cudaStreamWaitEvent(cuda::stream(stream), static_cast<cudaEvent_t>(event_), 0));
}

#ifdef PAL_EMULATE_CUDA

ThreadDevice::ThreadDevice(int index) {
  own_device = std::make_unique<Selected>();
  use(index);
}

ThreadDevice::~ThreadDevice() {
  for (cudaStream_t each :
       {own_device->stream, own_device->upload_stream, own_device->communication_stream})
    if (each != nullptr) (void)cudaStreamDestroy(each);
  (void)cudaFree(own_device->tickets);
  own_device.reset();
}

bool emulated() { return true; }

#else

bool emulated() { return false; }

#endif

#endif  // PAL_CUDA

}  // namespace pal::cuda
