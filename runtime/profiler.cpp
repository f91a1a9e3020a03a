#include "runtime/profiler.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <vector>

namespace pal {
namespace {

struct Total {
  int64_t calls = 0;
  int64_t nanoseconds = 0;
  int64_t bytes = 0;
  int64_t flops = 0;
};
struct Event {
  const char* name;
  int64_t start;
  int64_t duration;
};
struct State {
  std::mutex mutex;
  std::map<std::string, Total> totals;
  std::vector<Event> events;
  bool keep_trace = false;
};

State& state() {
  static State instance;
  return instance;
}

std::vector<std::pair<std::string, Total>> sorted_totals() {
  cuda::collect_profile();
  const std::lock_guard lock(state().mutex);
  std::vector<std::pair<std::string, Total>> rows(state().totals.begin(), state().totals.end());
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return a.second.nanoseconds > b.second.nanoseconds;
  });
  return rows;
}

double per_nanosecond(int64_t amount, int64_t nanoseconds) {
  return nanoseconds > 0 ? static_cast<double>(amount) / static_cast<double>(nanoseconds) : 0.0;
}

}  // namespace

void Profiler::enable(bool keep_trace) {
  state().keep_trace = keep_trace;
  enabled_ = true;
}
void Profiler::disable() { enabled_ = false; }

void Profiler::reset() {
  cuda::collect_profile();
  const std::lock_guard lock(state().mutex);
  state().totals.clear();
  state().events.clear();
}

std::string Profiler::table() {
  const auto rows = sorted_totals();
  int64_t sum = 0;
  for (const auto& row : rows) sum += row.second.nanoseconds;
  std::string text = fmt::format("{:<32} {:>8} {:>10} {:>7} {:>8} {:>9}\n", "kernel", "calls", "ms",
                                 "share", "GB/s", "GFLOP/s");
  for (const auto& [name, total] : rows)
    text += fmt::format("{:<32} {:>8} {:>10.2f} {:>6.1f}% {:>8.1f} {:>9.1f}\n", name, total.calls,
                        static_cast<double>(total.nanoseconds) * 1e-6,
                        100.0 * per_nanosecond(total.nanoseconds, sum),
                        per_nanosecond(total.bytes, total.nanoseconds),
                        per_nanosecond(total.flops, total.nanoseconds));
  text +=
      fmt::format("{:<32} {:>8} {:>10.2f}\n", "all kernels", "", static_cast<double>(sum) * 1e-6);
  return text;
}

std::string Profiler::json() {
  std::string text = "[";
  for (const auto& [name, total] : sorted_totals()) {
    if (text.size() > 1) text += ",";
    text += fmt::format(R"({{"kernel":"{}","calls":{},"ns":{},"bytes":{},"flops":{}}})", name,
                        total.calls, total.nanoseconds, total.bytes, total.flops);
  }
  return text + "]";
}

std::string Profiler::chrome_trace() {
  cuda::collect_profile();
  const std::lock_guard lock(state().mutex);
  std::string text = "{\"traceEvents\":[";
  bool first = true;
  for (const Event& event : state().events) {
    if (!first) text += ",\n";
    first = false;
    text += fmt::format(R"({{"name":"{}","ph":"X","pid":0,"tid":0,"ts":{:.3f},"dur":{:.3f}}})",
                        event.name, static_cast<double>(event.start) * 1e-3,
                        static_cast<double>(event.duration) * 1e-3);
  }
  return text + "]}\n";
}

int64_t ProfileScope::now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void Profiler::add(const char* name, int64_t start, int64_t duration, int64_t bytes,
                   int64_t flops) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  Total& total = s.totals[name];
  ++total.calls;
  total.nanoseconds += duration;
  total.bytes += bytes;
  total.flops += flops;
  if (s.keep_trace) s.events.push_back({name, start, duration});
}

void ProfileScope::finish() { Profiler::add(name_, start_, now() - start_, bytes_, flops_); }

}  // namespace pal
