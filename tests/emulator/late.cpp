#include "tests/emulator/late.h"

#include <chrono>
#include <mutex>
#include <set>
#include <thread>

#include "tests/emulator/control.h"
#include "tests/emulator/graph.h"

namespace emulator {
namespace detail {
namespace {

constexpr auto kPause = std::chrono::microseconds(50);

struct LateStreams {
  std::recursive_mutex mutex;
  std::set<cudaStream_t> streams;
  // Streams that had to wait for other ranks: their work is done as soon as it can be.
  std::set<cudaStream_t> behind;
};

LateStreams& late_streams() {
  static auto* instance = new LateStreams;
  return *instance;
}

}  // namespace

bool is_late(cudaStream_t stream) {
  const std::lock_guard lock(late_streams().mutex);
  const LateStreams& all = late_streams();
  return stream && (all.streams.contains(stream) || all.behind.contains(stream));
}

void defer(cudaStream_t stream, std::function<void()> work) {
  defer_step(stream, [work = std::move(work)] {
    work();
    return true;
  });
}

void defer_step(cudaStream_t stream, Step step) {
  const std::lock_guard lock(late_streams().mutex);
  stream->late.queue.push_back(std::move(step));
}

void run_or_defer_step(cudaStream_t stream, Step step) {
  if (!is_late(stream)) {
    if (step()) return;
    const std::lock_guard lock(late_streams().mutex);
    late_streams().behind.insert(stream);
  }
  defer_step(stream, std::move(step));
}

LatePoint point_of(cudaStream_t stream) {
  const std::lock_guard lock(late_streams().mutex);
  if (!is_late(stream)) return {};
  return {stream, stream->late.done + static_cast<int64_t>(stream->late.queue.size())};
}

bool has_passed(const LatePoint& point) {
  const std::lock_guard lock(late_streams().mutex);
  return !is_late(point.stream) || point.stream->late.done >= point.position;
}

bool advance(const LatePoint& point) {
  const std::lock_guard lock(late_streams().mutex);
  while (!has_passed(point)) {
    LateWork& late = point.stream->late;
    Step step = std::move(late.queue.front());
    late.queue.pop_front();
    ++late.done;
    if (!step()) {
      late.queue.push_front(std::move(step));
      --late.done;
      return false;
    }
  }
  return true;
}

// The lock is not held while others have to go on. Those may be ranks in threads that wait for
// something else.
void reach(const LatePoint& point) {
  while (!advance(point)) {
    {
      const std::lock_guard lock(late_streams().mutex);
      for (cudaStream_t stream : late_streams().behind) advance(point_of(stream));
    }
    std::this_thread::sleep_for(kPause);
  }
}

void wait_for(cudaStream_t stream, const LatePoint& point) {
  if (is_late(stream))
    defer_step(stream, [point] { return advance(point); });
  else
    reach(point);
}

void finish_all() {
  std::set<cudaStream_t> streams;
  {
    const std::lock_guard lock(late_streams().mutex);
    for (const auto* all : {&late_streams().streams, &late_streams().behind})
      for (cudaStream_t stream : *all)
        if (stream->device == current_device()) streams.insert(stream);
  }
  for (cudaStream_t stream : streams) reach(point_of(stream));
}

void end_lateness() {
  const std::lock_guard lock(late_streams().mutex);
  for (auto* all : {&late_streams().streams, &late_streams().behind}) {
    for (cudaStream_t stream : *all) {
      advance(point_of(stream));
      stream->late.queue.clear();
    }
    all->clear();
  }
}

}  // namespace detail

void set_late(cudaStream_t stream, bool late) {
  if (!late) detail::reach(detail::point_of(stream));
  detail::LateStreams& all = detail::late_streams();
  const std::lock_guard lock(all.mutex);
  all.behind.erase(stream);
  if (late)
    all.streams.insert(stream);
  else
    all.streams.erase(stream);
}

}  // namespace emulator
