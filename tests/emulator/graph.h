#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "tests/emulator/control.h"
#include "tests/emulator/late.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/runtime_api.h"

// The handles of the runtime API and what a capture does to them.

struct CUgraph_st {
  std::vector<emulator::detail::Step> operations;
  emulator::GraphNodes nodes;
};

struct CUgraphExec_st {
  std::shared_ptr<const std::vector<emulator::detail::Step>> operations;
};

struct CUstream_st {
  int device = 0;
  int64_t capture = 0;   // id of the capture it belongs to
  int64_t recorded = 0;  // operations of its captures, to know whether an event is up to date
  bool joined = true;    // what it recorded is known to the origin of the capture
  emulator::detail::LateWork late;
};

struct CUevent_st {
  unsigned flags = 0;
  bool recorded = false;
  std::chrono::steady_clock::time_point time;
  // Where it was last recorded, if in a capture.
  int64_t capture = 0;
  cudaStream_t stream = nullptr;
  int64_t position = 0;
  // Where it was last recorded, if in a late stream.
  emulator::detail::LatePoint late;
  int queries = 0;  // since it was recorded
};

namespace emulator::detail {

/// Whether the calling thread captures a graph.
bool is_capturing_here();
/// Throws Fault and spoils the capture if the calling thread captures a graph; `relaxed` says that
/// the call is allowed in cudaStreamCaptureModeRelaxed.
void forbid_in_capture(const char* call, bool relaxed = false);
/// The same for calls that wait for the work of a captured stream or event, from any thread.
void forbid_captured(int64_t capture, const char* call);

void capture_event(cudaEvent_t event, cudaStream_t stream);
cudaError_t capture_wait(cudaStream_t stream, cudaEvent_t event);
void end_all_captures();

/// Whether work on the stream is to be recorded; throws Fault if there is no device or the stream
/// must not be used.
bool is_recording(cudaStream_t stream, const char* call);
void record(cudaStream_t stream, std::function<void()> operation,
            int64_t GraphNodes::*kind = &GraphNodes::others);
void record_step(cudaStream_t stream, Step step, int64_t GraphNodes::*kind);

/// Does device work of about `nanoseconds` now, or records it.
template <class F>
void submit(cudaStream_t stream, const char* call, int64_t nanoseconds, F work,
            int64_t GraphNodes::*kind = &GraphNodes::others) {
  auto operation = [work, nanoseconds] {
    DeviceWork device;
    work();
    device.charge(nanoseconds);
  };
  if (is_recording(stream, call))
    record(stream, operation, kind);
  else
    run_or_defer(stream, operation);
}

/// What every call of the API begins with: an injected error, or that there is no device.
cudaError_t begin_call();
/// cudaErrorNoDevice, cudaErrorInsufficientDriver or cudaSuccess.
cudaError_t device_state();
/// Remembers an error for cudaGetLastError.
cudaError_t end_call(cudaError_t error);
/// The device of the calling thread.
int current_device();
bool is_live(cudaStream_t stream);
bool is_live(cudaEvent_t event);

}  // namespace emulator::detail
