#pragma once
#include <cstdint>
#include <deque>
#include <functional>

#include "tests/emulator/runtime_api.h"

// Late streams, whose work waits until something waits for it.
namespace emulator::detail {

/// A piece of work. False: it has to wait for another rank first; it goes on when called again.
using Step = std::function<bool()>;

/// What a stream has been asked for and has not done.
struct LateWork {
  std::deque<Step> queue;
  int64_t done = 0;  ///< pieces of work that have left the queue, ever
};

/// A place in the order of a stream, behind everything that was asked of it.
struct LatePoint {
  cudaStream_t stream = nullptr;  ///< null: it has passed
  int64_t position = 0;
};

bool is_late(cudaStream_t stream);
/// Puts work behind everything else that a late stream was asked for.
void defer(cudaStream_t stream, std::function<void()> work);
void defer_step(cudaStream_t stream, Step step);
/// The end of what was asked of a stream so far.
LatePoint point_of(cudaStream_t stream);
bool has_passed(const LatePoint& point);
/// Does what was asked of the point's stream before it, as far as it goes without other ranks;
/// whether that is all.
bool advance(const LatePoint& point);
/// Does all of it.
void reach(const LatePoint& point);
/// Makes a stream wait for a point of another one.
void wait_for(cudaStream_t stream, const LatePoint& point);
/// Does what was asked of all streams of the calling thread's device.
void finish_all();
/// Makes no stream late any more; what cannot be done without other ranks is dropped.
void end_lateness();

/// Does work of a stream now, or when it has to be if the stream is late.
template <class F>
void run_or_defer(cudaStream_t stream, F& work) {
  if (is_late(stream))
    defer(stream, work);
  else
    work();
}
/// The same for a step. A stream that has to wait for other ranks falls behind, so that the host
/// need not wait: what it is asked for is then done whenever something waits for another rank.
void run_or_defer_step(cudaStream_t stream, Step step);

}  // namespace emulator::detail
