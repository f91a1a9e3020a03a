#include "tests/emulator/control.h"
#include "tests/emulator/graph.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/runtime_api.h"

namespace {

struct Entry {
  cudaError_t error;
  const char* name;
  const char* text;
};

constexpr Entry kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress",
     "an illegal memory access was encountered"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureMerge, "cudaErrorStreamCaptureMerge",
     "operation would result in a merge of separate capture sequences"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
     "capture was not ended in the same stream as it began"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined",
     "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
    {cudaErrorStreamCaptureWrongThread, "cudaErrorStreamCaptureWrongThread",
     "attempt to terminate a thread-local capture sequence from another thread"},
};

const Entry* find(cudaError_t error) {
  for (const Entry& entry : kErrors)
    if (entry.error == error) return &entry;
  return nullptr;
}

thread_local cudaError_t last_error = cudaSuccess;
cudaError_t injected = cudaSuccess;
int calls_before = 0;

}  // namespace

const char* cudaGetErrorString(cudaError_t error) {
  const Entry* entry = find(error);
  return entry ? entry->text : "unrecognized error code";
}

const char* cudaGetErrorName(cudaError_t error) {
  const Entry* entry = find(error);
  return entry ? entry->name : "unrecognized error code";
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}

cudaError_t cudaPeekAtLastError() { return last_error; }

namespace emulator {

void inject_error(int error, int calls) {
  injected = static_cast<cudaError_t>(error);
  calls_before = calls;
}

void reset() {
  set_order(Order::forward);
  set_memory_limit(0);
  set_driver_version(13000);
  inject_error(cudaSuccess);
  detail::end_all_captures();
  detail::end_lateness();
  detail::close_device_memory();
  last_error = cudaSuccess;
}

namespace detail {

cudaError_t begin_call() {
  cudaError_t error = device_state();
  if (!error && injected && calls_before-- == 0) {
    error = injected;
    injected = cudaSuccess;
  }
  return end_call(error);
}

cudaError_t end_call(cudaError_t error) {
  if (error) last_error = error;
  return error;
}

}  // namespace detail
}  // namespace emulator
