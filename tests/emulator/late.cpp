#include "tests/emulator/late.h"

#include <mutex>
#include <set>

#include "tests/emulator/control.h"
#include "tests/emulator/graph.h"

namespace emulator {
namespace detail {
namespace {

struct LateStreams {
  std::recursive_mutex mutex;
  std::set<cudaStream_t> streams;
};

LateStreams& late_streams() {
  static auto* instance = new LateStreams;
  return *instance;
}

}  // namespace

bool is_late(cudaStream_t stream) {
  const std::lock_guard lock(late_streams().mutex);
  return stream && late_streams().streams.contains(stream);
}

void defer(cudaStream_t stream, std::function<void()> work) {
  const std::lock_guard lock(late_streams().mutex);
  stream->late.queue.push_back(std::move(work));
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

void reach(const LatePoint& point) {
  const std::lock_guard lock(late_streams().mutex);
  while (!has_passed(point)) {
    LateWork& late = point.stream->late;
    const std::function<void()> work = std::move(late.queue.front());
    late.queue.pop_front();
    ++late.done;
    work();
  }
}

void wait_for(cudaStream_t stream, const LatePoint& point) {
  auto wait = [point] { reach(point); };
  run_or_defer(stream, wait);
}

void finish_all() {
  const std::lock_guard lock(late_streams().mutex);
  for (cudaStream_t stream : late_streams().streams) reach(point_of(stream));
}

void end_lateness() {
  const std::lock_guard lock(late_streams().mutex);
  finish_all();
  late_streams().streams.clear();
}

}  // namespace detail

void set_late(cudaStream_t stream, bool late) {
  const std::lock_guard lock(detail::late_streams().mutex);
  if (late) {
    detail::late_streams().streams.insert(stream);
  } else {
    detail::reach(detail::point_of(stream));
    detail::late_streams().streams.erase(stream);
  }
}

}  // namespace emulator
