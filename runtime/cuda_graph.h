#pragma once
#include <functional>
#include <memory>

namespace pal {

/// A recorded sequence of device work that is launched as a whole (a CUDA graph): one call instead
/// of thousands. It works on the addresses it was recorded with, so its tensors must stay, and its
/// transient memory must come from an Allocator::Pool of its own.
class CudaGraph {
 public:
  CudaGraph();
  ~CudaGraph();
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;

  /// Records what `body` asks of the device instead of doing it, in place of an earlier recording.
  /// The body may not wait for the device. If it throws, nothing is recorded. Throws environment in
  /// a build without the CUDA backend.
  void capture(const std::function<void()>& body);
  /// Whether there is a recording to launch.
  bool captured() const;
  /// Does what was recorded, in the order of the stream, without waiting for it. Throws usage if
  /// nothing was.
  void launch() const;
  /// Forgets the recording.
  void reset();
  /// How many launches, copies and fills were recorded; 0: no recording.
  int64_t nodes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pal
