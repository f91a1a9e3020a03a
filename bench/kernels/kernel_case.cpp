#include "bench/kernels/kernel_case.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <map>

#include "kernels/library/cuda_settings.h"
#include "kernels/library/gemm.h"
#include "runtime/parallel.h"
#include "runtime/philox.h"

namespace pal::bench {
namespace {

// Readings that a figure is taken from: at least on the CPU, exactly on a GPU, whose clock is
// steady and whose readings are means already.
constexpr int64_t kLeastCalls = 5;
constexpr int64_t kDeviceReadings = 9;
constexpr double kSeconds = 0.1;
constexpr double kRoofSeconds = 1.5;

struct Readings {
  double work = 0.0;  ///< seconds
  double reference = 0.0;
};

double representative(std::vector<double> seconds) {
  std::ranges::sort(seconds);
  return target().device.is_cpu() ? seconds.front() : seconds[seconds.size() / 2];
}

/// On the CPU for about kSeconds by the wall clock, whatever single calls take: on a busy machine
/// some take a thousand times longer than others.
Readings alternate(benchmark::State& state, const Stopwatch& work, const Stopwatch& reference) {
  std::vector<double> works;
  std::vector<double> references;
  const auto round = [&] {
    works.push_back(work());
    references.push_back(reference());
    return works.back();
  };
  const auto start = std::chrono::steady_clock::now();
  const std::chrono::duration<double> wanted(target().device.is_cpu() ? kSeconds : 0.0);
  for ([[maybe_unused]] auto _ : state) state.SetIterationTime(round());
  while (std::ssize(works) < kLeastCalls || std::chrono::steady_clock::now() - start < wanted)
    round();
  return {representative(works), representative(references)};
}

/// Of the matrices that a GPU's peak is measured with.
int64_t product_side() {
  return static_cast<int64_t>(std::sqrt(static_cast<double>(target().elements)));
}

/// Everything that follows from a cost and its time.
void count(benchmark::State& state, const Cost& cost, double seconds) {
  const auto bytes = static_cast<double>(cost.bytes);
  const auto flops = static_cast<double>(cost.flops);
  const MeasuredRoofs::Level& level = roofs().level(cost.bytes);
  auto& counters = state.counters;
  counters["bytes"] = bytes;
  counters["flops"] = flops;
  counters["us"] = seconds * 1e6;
  counters["GB/s"] = bytes / seconds * 1e-9;
  counters["of_triad"] = bytes / seconds * 1e-9 / level.triad;
  const double least = bytes / (level.best() * 1e9);
  if (flops == 0.0) {
    counters["of_roof"] = least / seconds;
    return;
  }
  const double peak = peak_flops(cost.dtype);
  counters["GFLOP/s"] = flops / seconds * 1e-9;
  counters["of_peak"] = flops / seconds / peak;
  counters["of_roof"] = std::max(least, flops / peak) / seconds;
}

std::vector<std::string>& names() {
  static std::vector<std::string> instance;
  return instance;
}

Stopwatch copy_of(int64_t half) {
  if (target().device.is_cuda()) {
    const Tensor from = random_tensor({half / 4});
    const Tensor to = Tensor::empty(from.shape());
    return stopwatch([=] { to.copy_from(from); }, target().device);
  }
  const Tensor from = Tensor::zeros({half}, DType::u8);
  const Tensor to = Tensor::zeros({half}, DType::u8);
  const Work copy = [=] {
    parallel_for(half, 65536, [&](int64_t begin, int64_t end) {
      std::memcpy(to.data<uint8_t>() + begin, from.data<uint8_t>() + begin,
                  static_cast<size_t>(end - begin));
    });
  };
  return stopwatch(copy, target().device);
}

/// A row of numbers that long tensors repeat: their values do not matter, but zeros would be faster
/// than real data.
Tensor short_sequence(int64_t count) {
  const Tensor values = Tensor::empty({count}, DType::f32, Tag::workspace, Device());
  const Philox random(7, RandomPurpose::test);
  for (int64_t i = 0; i < count; ++i)
    values.data<float>()[i] =
        2.0F * random.uniform4(static_cast<uint32_t>(i / 4))[static_cast<size_t>(i % 4)] - 1.0F;
  return values;
}

Tensor random_on_device(const Shape& shape, DType dtype) {
  const int64_t count = shape.numel();
  const Tensor values = Tensor::empty({count}, dtype);
  int64_t filled = std::min<int64_t>(count, 1 << 16);
  values.view_at(0, {filled}).copy_from(short_sequence(filled).to(dtype));
  while (filled < count) {
    const int64_t more = std::min(filled, count - filled);
    values.view_at(filled, {more}).copy_from(values.view_at(0, {more}));
    filled += more;
  }
  return values.reshape(shape);
}

}  // namespace

Target& target() {
  static Target instance;
  return instance;
}

std::vector<Size> sizes() {
  if (target().device.is_cuda()) return {{"memory", target().elements, false}};
  return {{"cache", int64_t{1} << 16, true}, {"dram", int64_t{1} << 25, false}};
}

std::vector<Arithmetic> arithmetics() {
  std::vector<Arithmetic> all = {{"f32", DType::f32, false}, {"bf16", DType::bf16, false}};
  if (target().device.is_cuda()) all.push_back({"tf32", DType::f32, true});
  return all;
}

void apply(const Arithmetic& arithmetic) { cuda_math().tf32 = arithmetic.tf32; }

void against_copy(benchmark::State& state, const Cost& cost, const Work& work, Calls calls) {
  const int64_t half = std::max<int64_t>(cost.bytes / 2, 64);
  const Stopwatch ours = stopwatch(work, target().device, calls);
  const Readings seconds = alternate(state, ours, copy_of(half));
  count(state, cost, seconds.work);
  state.counters["of_copy"] = static_cast<double>(cost.bytes) / static_cast<double>(2 * half) *
                              seconds.reference / seconds.work;
}

void against_best(benchmark::State& state, const Cost& cost, const Work& work,
                  const std::function<Work()>& best) {
  const Stopwatch ours = stopwatch(work, target().device);
  if (target().device.is_cuda()) {
    // The peak is the same for all cases: nothing to alternate with.
    const double seconds = alternate(state, ours, [] { return 0.0; }).work;
    count(state, cost, seconds);
    state.counters["TFLOP/s"] = static_cast<double>(cost.flops) / seconds * 1e-12;
    return;
  }
  const Readings seconds = alternate(state, ours, stopwatch(best(), target().device));
  count(state, cost, seconds.work);
  state.counters["of_best"] = seconds.reference / seconds.work;
}

double peak_flops(DType dtype) {
  if (target().device.is_cpu()) {
    const double bf16 = roofs().bf16;
    return 1e9 * (dtype == DType::bf16 && bf16 > 0.0 ? bf16 : roofs().f32);
  }
  static std::map<std::pair<DType, bool>, double> known;
  double& rate = known[{dtype, cuda_math().tf32}];
  if (rate > 0.0) return rate;
  const int64_t side = product_side();
  const Tensor a = random_tensor({side, side}, dtype);
  const Tensor b = random_tensor({side, side}, dtype);
  const Tensor c = Tensor::empty({side, side}, dtype);
  const Work product = [&] { PAL_BACKEND(a, gemm(a, b, c, {.transpose_b = true})); };
  const Stopwatch watch = stopwatch(product, target().device);
  std::vector<double> seconds;
  for (int64_t i = 0; i < kDeviceReadings; ++i) seconds.push_back(watch());
  const auto n = static_cast<double>(side);
  rate = 2.0 * n * n * n / representative(seconds);
  return rate;
}

const MeasuredRoofs& roofs() {
  static const MeasuredRoofs measured = [] {
    RoofOptions options;
    options.seconds = kRoofSeconds;
    if (target().device.is_cuda()) {
      options.memory_bytes = 12 * target().elements;
      options.product_side = product_side();
    }
    return measure_roofs(target().device, options);
  }();
  return measured;
}

bool thorough() { return target().all || target().device.is_cuda(); }

const std::vector<std::string>& case_names() { return names(); }

void add_case(const std::string& name, const std::function<void(benchmark::State&)>& run) {
  names().push_back(name);
  auto* const added = benchmark::RegisterBenchmark(name.c_str(), [run](benchmark::State& state) {
    {
      const DeviceScope device(target().device);
      run(state);
    }
    Allocator::of(target().device).trim();
  });
  added->UseManualTime()->Unit(benchmark::kMicrosecond);
  added->Iterations(target().device.is_cuda() ? kDeviceReadings : 1);
}

Tensor random_tensor(const Shape& shape, DType dtype) {
  if (target().device.is_cuda()) return random_on_device(shape, dtype);
  const Tensor values = Tensor::empty(shape, DType::f32);
  const Tensor sequence = short_sequence(4096);
  parallel_for(values.numel(), 65536, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      values.data<float>()[i] = sequence.data<float>()[i % sequence.numel()];
  });
  return dtype == DType::f32 ? values : values.to(dtype);
}

Tensor device_index(const std::vector<int32_t>& index) {
  const Tensor host =
      Tensor::empty({static_cast<int64_t>(index.size())}, DType::i32, Tag::workspace, Device());
  std::ranges::copy(index, host.data<int32_t>());
  return host.to(target().device);
}

Shape image_shape(int64_t elements, int64_t channels) {
  int64_t side = channels >= 768 ? 7 : 14;
  if (target().device.is_cuda()) {
    // 150528 values an image: 3 channels at 224, ..., 3072 at 7.
    constexpr int64_t kImage = 3 * 224 * 224;
    side = 224;
    while (side > 7 && side * side * channels > kImage) side /= 2;
  }
  return {std::max<int64_t>(1, elements / (side * side * channels)), side, side, channels};
}

}  // namespace pal::bench
