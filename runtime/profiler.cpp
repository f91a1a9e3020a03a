#include "runtime/profiler.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "runtime/profiler_log.h"
#include "runtime/profiler_text.h"

namespace pal {
namespace {

using profiler_log::Call;
using profiler_log::now;

struct Sums {
  int64_t calls = 0;
  int64_t nanoseconds = 0;
  int64_t bytes = 0;
  int64_t flops = 0;
  double roof_nanoseconds = 0.0;
};

/// What one thread did. It alone adds to it, so its mutex is free but while results are asked for.
struct ThreadLog {
  std::mutex mutex;
  int number = 0;
  std::array<std::unordered_map<const char*, Sums>, 2> sums;  // of the CPU and of the GPU
  std::vector<Call> events;
};

struct State {
  std::mutex mutex;  // of the list; never taken while a log's is held
  std::vector<std::shared_ptr<ThreadLog>> logs;
  std::atomic<bool> keep_trace = false;
  std::atomic<size_t> events = 0;
  Roofs roofs;  // set before work begins

  std::vector<std::shared_ptr<ThreadLog>> all() {
    const std::lock_guard lock(mutex);
    return logs;
  }
};
State& state() {
  static State instance;
  return instance;
}

ThreadLog& own_log() {
  thread_local const std::shared_ptr<ThreadLog> log = [] {
    auto made = std::make_shared<ThreadLog>();
    const std::lock_guard lock(state().mutex);
    made->number = static_cast<int>(state().logs.size());
    state().logs.push_back(made);
    return made;
  }();
  return *log;
}

/// The scopes that this thread is in.
struct Nesting {
  bool inside_cost = false;
  int64_t children = 0;  // time of scopes that ended inside the innermost group
};
Nesting& nesting() {
  thread_local Nesting instance;
  return instance;
}

}  // namespace

int64_t profiler_log::now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double Roofs::bandwidth(int64_t bytes) const {
  for (const Bandwidth& one : bandwidths)
    if (bytes <= one.bytes) return one.rate;
  return bandwidths.empty() ? 0.0 : bandwidths.back().rate;
}

double Roofs::peak(Peak kind) const {
  const bool wants_bf16 = kind == Peak::bf16 || (kind == Peak::run && bf16_run);
  return wants_bf16 && bf16 > 0.0 ? bf16 : f32;
}

double Roofs::nanoseconds(int64_t bytes, int64_t flops, Peak kind) const {
  const auto at = [](int64_t amount, double rate) {
    return amount > 0 && rate > 0.0 ? static_cast<double>(amount) / rate : 0.0;
  };
  return std::max(at(bytes, bandwidth(bytes)), at(flops, peak(kind)));
}

void Profiler::enable(bool keep_trace) {
  state().keep_trace = keep_trace;
  enabled_ = true;
}
void Profiler::disable() { enabled_ = false; }

void Profiler::reset() {
  cuda::collect_profile();
  for (const auto& log : state().all()) {
    const std::lock_guard lock(log->mutex);
    for (auto& sums : log->sums) sums.clear();
    log->events.clear();
  }
  state().events = 0;
}

void Profiler::set_roofs(const Roofs& roofs) { state().roofs = roofs; }

std::vector<KernelTotal> Profiler::totals() {
  cuda::collect_profile();
  std::vector<KernelTotal> rows;
  for (const auto& log : state().all()) {
    const std::lock_guard lock(log->mutex);
    for (const bool gpu : {false, true})
      for (const auto& [name, sums] : log->sums[gpu ? 1 : 0]) {
        // Equal literals of two files may lie at two addresses.
        auto row = std::ranges::find_if(rows, [&, text = name](const KernelTotal& r) {
          return r.gpu == gpu && r.name == text;
        });
        if (row == rows.end()) row = rows.insert(rows.end(), {.name = name, .gpu = gpu});
        row->calls += sums.calls;
        row->nanoseconds += sums.nanoseconds;
        row->bytes += sums.bytes;
        row->flops += sums.flops;
        row->roof_nanoseconds += sums.roof_nanoseconds;
      }
  }
  std::ranges::sort(rows, [](const KernelTotal& a, const KernelTotal& b) {
    return a.nanoseconds != b.nanoseconds ? a.nanoseconds > b.nanoseconds : a.name < b.name;
  });
  return rows;
}

int64_t Profiler::kernel_nanoseconds() {
  cuda::collect_profile();
  ThreadLog& log = own_log();
  const std::lock_guard lock(log.mutex);
  int64_t sum = 0;
  for (const auto& [name, sums] : log.sums[state().roofs.gpu ? 1 : 0]) sum += sums.nanoseconds;
  return sum;
}

std::string Profiler::table() {
  return profiler_text::table(totals(),
                              state().roofs.bandwidths.empty() ? nullptr : &state().roofs);
}

std::string Profiler::json() { return profiler_text::json(totals()); }

std::string Profiler::chrome_trace() {
  cuda::collect_profile();
  profiler_text::Trace trace;
  for (const auto& log : state().all()) {
    const std::lock_guard lock(log->mutex);
    for (const Call& call : log->events) trace.add(call, log->number);
  }
  const size_t seen = state().events;
  return trace.finish(seen - std::min(seen, kMostEvents));
}

void profiler_log::add(const Call& call) {
  State& s = state();
  ThreadLog& log = own_log();
  const std::lock_guard lock(log.mutex);
  if (!call.phase) {
    Sums& sums = log.sums[call.gpu ? 1 : 0][call.name];
    ++sums.calls;
    sums.nanoseconds += call.own;
    sums.bytes += call.bytes;
    sums.flops += call.flops;
    if (call.gpu == s.roofs.gpu)
      sums.roof_nanoseconds += s.roofs.nanoseconds(call.bytes, call.flops, call.peak);
  }
  if (s.keep_trace && s.events++ < Profiler::kMostEvents) log.events.push_back(call);
}

void ProfileScope::begin() {
  Nesting& here = nesting();
  if (here.inside_cost) return;
  here.inside_cost = has_cost();
  outer_children_ = here.children;
  here.children = 0;
  start_ = now();
}

void ProfileScope::end() {
  const int64_t duration = now() - start_;
  Nesting& here = nesting();
  const int64_t own = duration - here.children;
  here.inside_cost = false;
  here.children = outer_children_ + duration;
  try {
    profiler_log::add({.name = name_,
                       .start = start_,
                       .duration = duration,
                       .own = own,
                       .bytes = bytes_,
                       .flops = flops_,
                       .peak = peak_});
  } catch (const std::exception&) {
    // A lost measurement must not hide the error that is on its way.
  }
}

void PhaseScope::begin() {
  profiler_log::push_range(name_);
  start_ = now();
}

void PhaseScope::end() {
  profiler_log::pop_range();
  const int64_t duration = now() - start_;
  try {
    profiler_log::add(
        {.name = name_, .start = start_, .duration = duration, .own = duration, .phase = true});
  } catch (const std::exception&) {
    // As above.
  }
}

}  // namespace pal
