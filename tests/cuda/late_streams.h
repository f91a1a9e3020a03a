#pragma once
#include <vector>

#include "runtime/cuda.h"
#ifdef PAL_EMULATE_CUDA
#include "runtime/launch.cuh"
#endif

namespace pal::test {

/// While it lives, the emulator does the work of these streams only when something waits for it,
/// and that of the others at once: a wait that is missing shows in the results. On a GPU nothing
/// changes.
class LateStreams {
 public:
  explicit LateStreams(std::vector<cuda::Stream> streams) : streams_(std::move(streams)) {
    set(true);
  }
  ~LateStreams() { set(false); }
  LateStreams(const LateStreams&) = delete;
  LateStreams& operator=(const LateStreams&) = delete;

  /// All choices of late streams.
  static std::vector<std::vector<cuda::Stream>> choices() {
    constexpr auto kCompute = cuda::Stream::compute;
    constexpr auto kUpload = cuda::Stream::upload;
    return {{}, {kCompute}, {kUpload}, {kCompute, kUpload}};
  }

 private:
  void set([[maybe_unused]] bool late) const {
#ifdef PAL_EMULATE_CUDA
    for (const cuda::Stream each : streams_) emulator::set_late(cuda::stream(each), late);
#endif
  }

  std::vector<cuda::Stream> streams_;
};

}  // namespace pal::test
