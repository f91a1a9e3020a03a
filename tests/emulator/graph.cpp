#include "tests/emulator/graph.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "tests/emulator/control.h"
#include "tests/emulator/fault.h"

namespace emulator::detail {
namespace {

struct Capture {
  int64_t id;
  cudaStreamCaptureMode mode;
  cudaStream_t origin;
  std::thread::id thread;
  std::unique_ptr<CUgraph_st> graph = std::make_unique<CUgraph_st>();
  std::vector<cudaStream_t> streams;
  bool spoiled = false;
};

struct Captures {
  std::recursive_mutex mutex;
  GraphNodes last_nodes;
  std::vector<std::unique_ptr<Capture>> active;
  int64_t last_id = 0;
};

Captures& captures() {
  static auto* instance = new Captures;
  return *instance;
}

Capture* find(int64_t id) {
  for (auto& capture : captures().active)
    if (capture->id == id) return capture.get();
  return nullptr;
}

Capture* find_here() {
  for (auto& capture : captures().active)
    if (capture->thread == std::this_thread::get_id()) return capture.get();
  return nullptr;
}

[[noreturn]] void spoil(Capture& capture, const std::string& why) {
  capture.spoiled = true;
  throw Fault("emulator: " + why);
}

/// A launch of a graph: what was recorded, in the order of the calls.
struct Replay {
  std::shared_ptr<const std::vector<Step>> operations;
  size_t next = 0;

  bool operator()() {
    for (; next < operations->size(); ++next)
      if (!(*operations)[next]()) return false;
    next = 0;
    return true;
  }
};

void end(Capture* capture) {
  for (cudaStream_t stream : capture->streams)
    if (is_live(stream)) stream->capture = 0;
  std::erase_if(captures().active, [&](const auto& c) { return c.get() == capture; });
}

}  // namespace

bool is_capturing_here() {
  const std::lock_guard lock(captures().mutex);
  return find_here() != nullptr;
}

void forbid_in_capture(const char* call, bool relaxed) {
  const std::lock_guard lock(captures().mutex);
  Capture* capture = find_here();
  if (capture && !(relaxed && capture->mode == cudaStreamCaptureModeRelaxed))
    spoil(*capture, std::string(call) + " while a graph is captured");
}

void forbid_captured(int64_t id, const char* call) {
  const std::lock_guard lock(captures().mutex);
  if (Capture* capture = find(id)) spoil(*capture, std::string(call) + " on captured work");
}

bool is_recording(cudaStream_t stream, const char* call) {
  if (device_state() != cudaSuccess)
    throw Fault(std::string("emulator: ") + call + " without a device");
  const std::lock_guard lock(captures().mutex);
  if (!stream) {
    if (!captures().active.empty())
      spoil(*captures().active.front(),
            std::string(call) + " on the default stream while a graph is captured");
    return false;
  }
  if (!is_live(stream)) throw Fault(std::string("emulator: ") + call + " on a destroyed stream");
  return stream->capture != 0;
}

void record(cudaStream_t stream, std::function<void()> operation, int64_t GraphNodes::*kind) {
  const auto step = [operation = std::move(operation)] {
    operation();
    return true;
  };
  record_step(stream, step, kind);
}

void record_step(cudaStream_t stream, Step step, int64_t GraphNodes::*kind) {
  const std::lock_guard lock(captures().mutex);
  CUgraph_st& graph = *find(stream->capture)->graph;
  graph.operations.push_back(std::move(step));
  ++(graph.nodes.*kind);
  ++stream->recorded;
  if (stream != find(stream->capture)->origin) stream->joined = false;
}

void capture_event(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(captures().mutex);
  event->capture = stream->capture;
  event->stream = stream;
  event->position = stream->recorded;
}

// Waiting draws a stream into the capture, or tells the origin of another stream's work.
cudaError_t capture_wait(cudaStream_t stream, cudaEvent_t event) {
  const std::lock_guard lock(captures().mutex);
  Capture* capture = find(event->capture);
  if (!capture) {
    if (!stream->capture || !event->recorded) return cudaSuccess;
    find(stream->capture)->spoiled = true;
    return cudaErrorStreamCaptureIsolation;
  }
  if (stream->capture && stream->capture != capture->id) {
    capture->spoiled = find(stream->capture)->spoiled = true;
    return cudaErrorStreamCaptureMerge;
  }
  if (!stream->capture) {
    stream->capture = capture->id;
    stream->joined = false;
    capture->streams.push_back(stream);
  }
  if (stream == capture->origin && event->position == event->stream->recorded)
    event->stream->joined = true;
  return cudaSuccess;
}

void end_all_captures() {
  const std::lock_guard lock(captures().mutex);
  while (!captures().active.empty()) end(captures().active.front().get());
}

}  // namespace emulator::detail

namespace emulator {

GraphNodes captured_nodes() {
  const std::lock_guard lock(detail::captures().mutex);
  return detail::captures().last_nodes;
}

void host_op(std::function<void()> work) {
  auto operation = [work = std::move(work)] {
    const detail::DeviceWork device;
    work();
  };
  std::unique_lock lock(detail::captures().mutex);
  if (const detail::Capture* capture = detail::find_here())
    return detail::record(capture->origin, std::move(operation), &GraphNodes::library);
  lock.unlock();
  detail::finish_all();
  operation();
}

}  // namespace emulator

using namespace emulator::detail;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (const cudaError_t error = begin_call()) return error;
  const std::lock_guard lock(captures().mutex);
  if (!stream) return end_call(cudaErrorStreamCaptureUnsupported);
  if (!is_live(stream) || stream->capture) return end_call(cudaErrorInvalidValue);
  auto capture = std::make_unique<Capture>();
  capture->id = ++captures().last_id;
  capture->mode = mode;
  capture->origin = stream;
  capture->thread = std::this_thread::get_id();
  capture->streams.push_back(stream);
  stream->capture = capture->id;
  stream->joined = true;
  captures().active.push_back(std::move(capture));
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (const cudaError_t error = begin_call()) return error;
  const std::lock_guard lock(captures().mutex);
  *graph = nullptr;
  Capture* capture = stream && is_live(stream) ? find(stream->capture) : nullptr;
  if (!capture) return end_call(cudaErrorInvalidValue);
  if (capture->origin != stream) return end_call(cudaErrorStreamCaptureUnmatched);
  if (capture->mode != cudaStreamCaptureModeRelaxed &&
      capture->thread != std::this_thread::get_id())
    return end_call(cudaErrorStreamCaptureWrongThread);
  const bool all_joined = std::all_of(capture->streams.begin(), capture->streams.end(),
                                      [](cudaStream_t s) { return s->joined; });
  const cudaError_t error = capture->spoiled ? cudaErrorStreamCaptureInvalidated
                            : !all_joined    ? cudaErrorStreamCaptureUnjoined
                                             : cudaSuccess;
  if (!error) {
    captures().last_nodes = capture->graph->nodes;
    *graph = capture->graph.release();
  }
  end(capture);
  return end_call(error);
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  if (const cudaError_t error = begin_call()) return error;
  const std::lock_guard lock(captures().mutex);
  const Capture* capture = stream && is_live(stream) ? find(stream->capture) : nullptr;
  *status = !capture           ? cudaStreamCaptureStatusNone
            : capture->spoiled ? cudaStreamCaptureStatusInvalidated
                               : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, cudaStreamCaptureStatus* status,
                                     unsigned long long* id) {
  if (const cudaError_t error = cudaStreamIsCapturing(stream, status)) return error;
  if (*status == cudaStreamCaptureStatusActive)
    *id = static_cast<unsigned long long>(stream->capture);
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  if (const cudaError_t error = begin_call()) return error;
  if (!graph || nodes) return end_call(cudaErrorInvalidValue);
  *count = graph->operations.size();
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  if (const cudaError_t error = begin_call()) return error;
  if (!graph) return end_call(cudaErrorInvalidValue);
  *exec = new CUgraphExec_st{std::make_shared<const std::vector<Step>>(graph->operations)};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  if (const cudaError_t error = begin_call()) return error;
  if (!exec) return end_call(cudaErrorInvalidValue);
  if (is_recording(stream, "cudaGraphLaunch"))
    record_step(stream, Replay{exec->operations}, &emulator::GraphNodes::others);
  else
    run_or_defer_step(stream, Replay{exec->operations});
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  if (const cudaError_t error = begin_call()) return error;
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  if (const cudaError_t error = begin_call()) return error;
  delete exec;
  return cudaSuccess;
}
