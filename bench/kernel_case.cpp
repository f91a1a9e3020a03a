#include "bench/kernel_case.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <vector>

#include "runtime/allocator.h"
#include "runtime/parallel.h"
#include "runtime/philox.h"

namespace pal::bench {
namespace {

double seconds_of(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Fastest {
  double work = std::numeric_limits<double>::infinity();
  double reference = std::numeric_limits<double>::infinity();
};

// Calls that a figure is the fastest of, at least.
constexpr int64_t kLeastCalls = 5;

Fastest alternate(benchmark::State& state, const Work& work, const Work& reference) {
  // The first calls plan, allocate and fill caches.
  work();
  reference();
  Fastest fastest;
  const auto round = [&] {
    const double seconds = seconds_of(work);
    fastest.work = std::min(fastest.work, seconds);
    fastest.reference = std::min(fastest.reference, seconds_of(reference));
    return seconds;
  };
  for ([[maybe_unused]] auto _ : state) state.SetIterationTime(round());
  for (int64_t calls = state.iterations(); calls < kLeastCalls; ++calls) round();
  return fastest;
}

}  // namespace

void against_copy(benchmark::State& state, int64_t bytes, const Work& work) {
  const int64_t half = std::max<int64_t>(bytes / 2, 64);
  const Tensor from = Tensor::zeros({half}, DType::u8);
  const Tensor to = Tensor::zeros({half}, DType::u8);
  const Work copy = [&] {
    parallel_for(half, 65536, [&](int64_t begin, int64_t end) {
      std::memcpy(to.data<uint8_t>() + begin, from.data<uint8_t>() + begin,
                  static_cast<size_t>(end - begin));
    });
  };
  const Fastest fastest = alternate(state, work, copy);
  state.SetBytesProcessed(state.iterations() * bytes);
  state.counters["GB/s"] = static_cast<double>(bytes) / fastest.work * 1e-9;
  state.counters["of_copy"] =
      static_cast<double>(bytes) / static_cast<double>(2 * half) * fastest.reference / fastest.work;
}

void against_best(benchmark::State& state, int64_t flops, const Work& work, const Work& best) {
  const Fastest fastest = alternate(state, work, best);
  state.counters["GFLOP/s"] = static_cast<double>(flops) / fastest.work * 1e-9;
  state.counters["of_best"] = fastest.reference / fastest.work;
}

void add_case(const std::string& name, const std::function<void(benchmark::State&)>& run) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [run](benchmark::State& state) {
                                 run(state);
                                 Allocator::cpu().trim();
                               })
      ->UseManualTime()
      ->MinTime(0.05)
      ->Unit(benchmark::kMicrosecond);
}

Tensor random_tensor(const Shape& shape, DType dtype) {
  const Tensor values = Tensor::empty(shape, DType::f32);
  const Philox random(7, RandomPurpose::test);
  // A short sequence repeated: these tensors are long, and their values do not matter.
  std::vector<float> sequence(4096);
  for (size_t i = 0; i < sequence.size(); ++i)
    sequence[i] = 2.0F * random.uniform4(static_cast<uint32_t>(i / 4))[i % 4] - 1.0F;
  parallel_for(values.numel(), 65536, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      values.data<float>()[i] = sequence[static_cast<size_t>(i) % sequence.size()];
  });
  return dtype == DType::f32 ? values : values.to(dtype);
}

Shape image_shape(int64_t elements, int64_t channels) {
  const int64_t side = channels >= 768 ? 7 : 14;
  return {std::max<int64_t>(1, elements / (side * side * channels)), side, side, channels};
}

}  // namespace pal::bench
