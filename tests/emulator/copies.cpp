#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "tests/emulator/control.h"
#include "tests/emulator/fault.h"
#include "tests/emulator/graph.h"
#include "tests/emulator/memory.h"

using emulator::Fault;
using namespace emulator::detail;

namespace {

/// Rows of bytes in one memory.
struct Rows {
  const char* begin;
  std::size_t pitch, width, height;

  std::size_t extent() const { return height ? (height - 1) * pitch + width : 0; }
};

enum class Side { host, device };

// Host memory may be pinned or not; device memory must be one allocation that holds all rows.
void check_side(const char* call, const char* what, Side side, const Rows& rows) {
  const Space space = space_of(rows.begin);
  const std::string where = std::string("emulator: ") + call + ": the " + what;
  if (side == Side::device && space != Space::device)
    throw Fault(where + " is not device memory, as the direction says");
  if (side == Side::host && space == Space::device)
    throw Fault(where + " is device memory, against the direction");
  if (space != Space::host && !is_inside(rows.begin, rows.extent(), space))
    throw Fault(where + " goes beyond its allocation");
}

Side side_of(const void* pointer) {
  return space_of(pointer) == Space::device ? Side::device : Side::host;
}

void check_copy(const char* call, const Rows& to, const Rows& from, cudaMemcpyKind kind) {
  const bool from_device = kind == cudaMemcpyDefault
                               ? side_of(from.begin) == Side::device
                               : kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  const bool to_device = kind == cudaMemcpyDefault
                             ? side_of(to.begin) == Side::device
                             : kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  check_side(call, "source", from_device ? Side::device : Side::host, from);
  check_side(call, "destination", to_device ? Side::device : Side::host, to);
}

int64_t nanoseconds(const Rows& rows) { return int64_t(rows.width * rows.height) / 10; }

cudaError_t copy(const char* call, const Rows& to, const Rows& from, cudaMemcpyKind kind,
                 cudaStream_t stream) {
  if (const cudaError_t error = begin_call()) return error;
  const bool recording = is_recording(stream, call);
  if (to.width > to.pitch || from.width > from.pitch) return end_call(cudaErrorInvalidValue);
  if (to.width == 0 || to.height == 0) return cudaSuccess;
  check_copy(call, to, from, kind);
  // Replays would touch the host memory at a time when nobody keeps it.
  if (recording && (space_of(from.begin) == Space::host || space_of(to.begin) == Space::host))
    forbid_captured(stream->capture, "a copy of pageable memory");
  // Pageable memory may change when the call returns.
  const bool keeps = is_late(stream) && space_of(from.begin) == Space::host;
  const std::vector<char> kept(from.begin, from.begin + (keeps ? from.extent() : 0));
  submit(
      stream, call, nanoseconds(to),
      [=] {
        // Again for a replay: the memory may be gone.
        check_copy(call, to, from, kind);
        const char* begin = keeps ? kept.data() : from.begin;
        for (std::size_t row = 0; row < to.height; ++row)
          std::memcpy(const_cast<char*>(to.begin) + row * to.pitch, begin + row * from.pitch,
                      to.width);
      },
      &emulator::GraphNodes::copies);
  // And has arrived there then.
  if (space_of(to.begin) == Space::host) reach(point_of(stream));
  return cudaSuccess;
}

cudaError_t set(const char* call, const Rows& to, int value, cudaStream_t stream) {
  if (const cudaError_t error = begin_call()) return error;
  if (to.width > to.pitch) return end_call(cudaErrorInvalidValue);
  if (to.width == 0 || to.height == 0) return cudaSuccess;
  const auto work = [=] {
    check_side(call, "destination", Side::device, to);
    for (std::size_t row = 0; row < to.height; ++row)
      std::memset(const_cast<char*>(to.begin) + row * to.pitch, value, to.width);
  };
  check_side(call, "destination", Side::device, to);
  submit(stream, call, nanoseconds(to), work, &emulator::GraphNodes::fills);
  return cudaSuccess;
}

Rows row(const void* begin, std::size_t bytes) {
  return {static_cast<const char*>(begin), bytes, bytes, 1};
}

Rows rows(const void* begin, std::size_t pitch, std::size_t width, std::size_t height) {
  return {static_cast<const char*>(begin), pitch, width, height};
}

cudaError_t allocate_checked(const char* call, void** pointer, std::size_t bytes, Space space) {
  if (const cudaError_t error = begin_call()) return error;
  forbid_in_capture(call, true);
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  *pointer = allocate(bytes, space);
  return end_call(*pointer ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t release_checked(const char* call, void* pointer, Space space) {
  if (const cudaError_t error = begin_call()) return error;
  forbid_in_capture(call, true);
  finish_all();
  return end_call(release(pointer, space) ? cudaSuccess : cudaErrorInvalidValue);
}

}  // namespace

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  return allocate_checked("cudaMalloc", pointer, bytes, Space::device);
}

cudaError_t cudaFree(void* pointer) { return release_checked("cudaFree", pointer, Space::device); }

cudaError_t cudaHostAlloc(void** pointer, std::size_t bytes, unsigned flags) {
  if (flags > 7) return end_call(cudaErrorInvalidValue);
  return allocate_checked("cudaHostAlloc", pointer, bytes, Space::pinned);
}

cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
  return cudaHostAlloc(pointer, bytes, cudaHostAllocDefault);
}

cudaError_t cudaFreeHost(void* pointer) {
  return release_checked("cudaFreeHost", pointer, Space::pinned);
}

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  if (const cudaError_t error = begin_call()) return error;
  *total_bytes = memory_limit();
  *free_bytes = *total_bytes - std::min(*total_bytes, emulator::device_bytes());
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  forbid_in_capture("cudaMemcpy");
  const cudaError_t error = copy("cudaMemcpy", row(to, bytes), row(from, bytes), kind, nullptr);
  close_device_memory();
  return error;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return copy("cudaMemcpyAsync", row(to, bytes), row(from, bytes), kind, stream);
}

cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                              std::size_t from_pitch, std::size_t width, std::size_t height,
                              cudaMemcpyKind kind, cudaStream_t stream) {
  return copy("cudaMemcpy2DAsync", rows(to, to_pitch, width, height),
              rows(from, from_pitch, width, height), kind, stream);
}

cudaError_t cudaMemset(void* to, int value, std::size_t bytes) {
  forbid_in_capture("cudaMemset");
  return set("cudaMemset", row(to, bytes), value, nullptr);
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  return set("cudaMemsetAsync", row(to, bytes), value, stream);
}

cudaError_t cudaMemset2DAsync(void* to, std::size_t pitch, int value, std::size_t width,
                              std::size_t height, cudaStream_t stream) {
  return set("cudaMemset2DAsync", rows(to, pitch, width, height), value, stream);
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  if (const cudaError_t error = begin_call()) return error;
  const auto work = [=] {
    close_device_memory();
    function(data);
  };
  if (is_recording(stream, "cudaLaunchHostFunc"))
    record(stream, work);
  else
    run_or_defer(stream, work);
  return cudaSuccess;
}
