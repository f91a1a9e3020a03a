// What the profiler itself costs: a training step has some thousand scopes.
#include "bench/kernels/kernel_case.h"
#include "runtime/profiler.h"

namespace pal::bench {
namespace {

constexpr int64_t kScopes = 4096;
constexpr int kReadings = 100;

void run(benchmark::State& state, bool enabled, bool trace) {
  const Work scopes = [] {
    for (int64_t i = 0; i < kScopes; ++i) {
      const ProfileScope scope("profiler", 4096, 1024);
      benchmark::ClobberMemory();
    }
  };
  if (enabled) Profiler::enable(trace);
  const Stopwatch watch = stopwatch(scopes, Device());
  double least = watch();
  for ([[maybe_unused]] auto _ : state) state.SetIterationTime(least);
  for (int i = 0; i < kReadings; ++i) {
    Profiler::reset();
    least = std::min(least, watch());
  }
  Profiler::disable();
  Profiler::reset();
  state.counters["us"] = least * 1e6;
  state.counters["ns per scope"] = least * 1e9 / static_cast<double>(kScopes);
}

}  // namespace

void add_profiler_cases() {
  if (target().device.is_cuda()) return;
  add_case("profile_scope/off", [](benchmark::State& state) { run(state, false, false); });
  add_case("profile_scope/on", [](benchmark::State& state) { run(state, true, false); });
  add_case("profile_scope/trace", [](benchmark::State& state) { run(state, true, true); });
}

}  // namespace pal::bench
