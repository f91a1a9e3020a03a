#include <mutex>
#include <set>

#include "tests/emulator/control.h"
#include "tests/emulator/graph.h"

using namespace emulator::detail;

namespace {

/// Streams and events that exist; reachable to the end for the leak check.
struct Handles {
  std::mutex mutex;
  std::set<const void*> live;
};

Handles& handles() {
  static auto* instance = new Handles;
  return *instance;
}

template <class T>
T* add(T* handle) {
  const std::lock_guard lock(handles().mutex);
  handles().live.insert(handle);
  return handle;
}

template <class T>
bool remove(T* handle) {
  const std::lock_guard lock(handles().mutex);
  if (!handles().live.erase(handle)) return false;
  delete handle;
  return true;
}

bool contains(const void* handle) {
  const std::lock_guard lock(handles().mutex);
  return handles().live.contains(handle);
}

constexpr int kNone = -1;
// Waits of this thread before the one that is left out.
thread_local int waits_before = kNone;
// Queries of an event that do not yet make it a wait.
constexpr int kQueries = 2;

}  // namespace

bool emulator::detail::is_live(cudaStream_t stream) { return contains(stream); }
bool emulator::detail::is_live(cudaEvent_t event) { return contains(event); }
void emulator::omit_wait(int waits) { waits_before = waits; }

cudaError_t cudaDeviceSynchronize() {
  if (const cudaError_t error = begin_call()) return error;
  forbid_in_capture("cudaDeviceSynchronize");
  finish_all();
  close_device_memory();
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  if (const cudaError_t error = begin_call()) return error;
  if (flags > cudaStreamNonBlocking) return end_call(cudaErrorInvalidValue);
  *stream = add(new CUstream_st);
  (*stream)->device = current_device();
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  if (const cudaError_t error = begin_call()) return error;
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (const cudaError_t error = begin_call()) return error;
  if (contains(stream)) {
    forbid_captured(stream->capture, "cudaStreamDestroy");
    emulator::set_late(stream, false);
  }
  return end_call(remove(stream) ? cudaSuccess : cudaErrorInvalidResourceHandle);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (const cudaError_t error = begin_call()) return error;
  if (stream && !contains(stream)) return end_call(cudaErrorInvalidResourceHandle);
  forbid_in_capture("cudaStreamSynchronize");
  if (stream) forbid_captured(stream->capture, "cudaStreamSynchronize");
  reach(point_of(stream));
  close_device_memory();
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (const cudaError_t error = begin_call()) return error;
  if (stream && !contains(stream)) return end_call(cudaErrorInvalidResourceHandle);
  forbid_in_capture("cudaStreamQuery");
  if (stream) forbid_captured(stream->capture, "cudaStreamQuery");
  return has_passed(point_of(stream)) ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (const cudaError_t error = begin_call()) return error;
  if (!contains(event) || (stream && !contains(stream)))
    return end_call(cudaErrorInvalidResourceHandle);
  if (waits_before != kNone && waits_before-- == 0) return cudaSuccess;
  if (!is_recording(stream, "cudaStreamWaitEvent") && !event->capture)
    wait_for(stream, event->late);
  return end_call(stream ? capture_wait(stream, event) : cudaSuccess);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  if (const cudaError_t error = begin_call()) return error;
  if (flags > 7) return end_call(cudaErrorInvalidValue);
  *event = add(new CUevent_st);
  (*event)->flags = flags;
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (const cudaError_t error = begin_call()) return error;
  return end_call(remove(event) ? cudaSuccess : cudaErrorInvalidResourceHandle);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (const cudaError_t error = begin_call()) return error;
  if (!contains(event) || (stream && !contains(stream)))
    return end_call(cudaErrorInvalidResourceHandle);
  event->capture = 0;
  event->queries = 0;
  event->recorded = !is_recording(stream, "cudaEventRecord");
  event->late = event->recorded ? point_of(stream) : LatePoint();
  if (event->recorded)
    event->time = std::chrono::steady_clock::now();
  else
    capture_event(event, stream);
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (const cudaError_t error = begin_call()) return error;
  if (!contains(event)) return end_call(cudaErrorInvalidResourceHandle);
  forbid_in_capture("cudaEventSynchronize");
  forbid_captured(event->capture, "cudaEventSynchronize");
  if (event->capture) return end_call(cudaErrorCapturedEvent);
  reach(event->late);
  close_device_memory();
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (const cudaError_t error = begin_call()) return error;
  if (!contains(event)) return end_call(cudaErrorInvalidResourceHandle);
  forbid_in_capture("cudaEventQuery");
  forbid_captured(event->capture, "cudaEventQuery");
  if (event->capture) return end_call(cudaErrorCapturedEvent);
  if (++event->queries > kQueries) advance(event->late);
  // No error for cudaGetLastError.
  return has_passed(event->late) ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (const cudaError_t error = begin_call()) return error;
  if (!contains(start) || !contains(end) || !start->recorded || !end->recorded ||
      (start->flags | end->flags) & cudaEventDisableTiming)
    return end_call(cudaErrorInvalidResourceHandle);
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return cudaSuccess;
}
