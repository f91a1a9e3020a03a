#include "experiments/planning/roofs.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>

#include "kernels/arrays/elementwise.h"
#include "kernels/library/gemm.h"
#include "kernels/library/platform.h"
#include "runtime/cuda.h"
#include "runtime/error.h"
#include "runtime/parallel.h"
#include "runtime/philox.h"
#include "runtime/tensor.h"

namespace pal {
namespace {

using Work = std::function<void()>;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Seconds of one call, the best of readings that last about a millisecond each.
double best_seconds(const Work& work, Device device, double budget) {
  constexpr double kReading = 1e-3;
  constexpr int64_t kLeastReadings = 3;
  const auto wait = [&] {
    if (device.is_cuda()) cuda::synchronize();
  };
  const auto timed = [&](int64_t calls) {
    wait();
    const double start = now();
    for (int64_t i = 0; i < calls; ++i) work();
    wait();
    return (now() - start) / static_cast<double>(calls);
  };
  const double end = now() + budget;
  timed(1);  // plans and touches memory
  const double first = timed(1);
  const int64_t calls = std::clamp<int64_t>(static_cast<int64_t>(kReading / first), 1, 10000);
  double best = first;
  int64_t readings = 0;
  while (readings < kLeastReadings || now() < end) {
    best = std::min(best, timed(calls));
    ++readings;
  }
  return best;
}

void copy(const Tensor& a, const Tensor& b) {
  if (a.device().is_cuda()) return a.copy_from(b);
  parallel_for(a.numel(), 16384, [&](int64_t begin, int64_t end) {
    std::memcpy(a.data<float>() + begin, b.data<float>() + begin,
                static_cast<size_t>(end - begin) * sizeof(float));
  });
}

/// On a GPU a += s b: it reads as much and writes as much, and nothing there reads what is only
/// written.
void triad(const Tensor& a, const Tensor& b, const Tensor& c) {
  if (a.device().is_cuda()) return PAL_BACKEND(a, axpy(1e-3, b, a));
  parallel_for(a.numel(), 16384, [&](int64_t begin, int64_t end) {
    float* __restrict to = a.data<float>();
    const float* __restrict left = b.data<float>();
    const float* __restrict right = c.data<float>();
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) to[i] = left[i] + 1e-3F * right[i];
  });
}

MeasuredRoofs::Level measure_level(const char* name, int64_t bytes, int64_t fits, Device device,
                                   double budget) {
  const auto tensor = [&](int64_t count) {
    const Tensor made = Tensor::empty({count}, DType::f32, Tag::workspace, device);
    made.fill(0.5);
    return made;
  };
  MeasuredRoofs::Level level{.name = name, .bytes = bytes, .fits = fits};
  const int64_t third = bytes / 12;
  const Tensor a = tensor(third);
  const Tensor b = tensor(third);
  const Tensor c = device.is_cuda() ? Tensor() : tensor(third);
  const double moved = static_cast<double>(third) * sizeof(float) * 1e-9;
  level.copy = 2.0 * moved / best_seconds([&] { copy(a, b); }, device, budget / 2);
  level.triad = 3.0 * moved / best_seconds([&] { triad(a, b, c); }, device, budget / 2);
  return level;
}

/// A cache of the CPU, which is never slower than what lies farther away: if it seems so, something
/// else has disturbed the threads, and it is measured again.
MeasuredRoofs::Level measure_nearer(const char* name, int64_t bytes, int64_t fits,
                                    const MeasuredRoofs::Level& farther, double budget) {
  constexpr int kMostTries = 5;
  MeasuredRoofs::Level best{.name = name, .bytes = bytes, .fits = fits};
  for (int i = 0; i < kMostTries && (best.copy < farther.copy || best.triad < farther.triad); ++i) {
    const auto again = measure_level(name, bytes, fits, Device(), budget);
    best.copy = std::max(best.copy, again.copy);
    best.triad = std::max(best.triad, again.triad);
  }
  return best;
}

/// Standard normal numbers: a product of constants switches fewer wires, so that a device that is
/// limited by its power runs faster than it does with real data. A stretch of them is repeated,
/// which no unit notices.
Tensor random_matrix(int64_t side, DType dtype, Device device) {
  constexpr int64_t kMost = int64_t{1} << 20;
  const Tensor made = Tensor::empty({side * side}, dtype, Tag::workspace, device);
  const Tensor values =
      Tensor::empty({std::min(made.numel(), kMost)}, DType::f32, Tag::workspace, Device());
  const Philox random(1, RandomPurpose::test);
  for (int64_t i = 0; i < values.numel(); i += 4) {
    const auto four = random.normal4(static_cast<uint32_t>(i / 4));
    std::copy_n(four.begin(), std::min<int64_t>(4, values.numel() - i), values.data<float>() + i);
  }
  const Tensor stretch = values.to(dtype).to(device, Tag::workspace);
  for (int64_t begin = 0; begin < made.numel(); begin += stretch.numel()) {
    const int64_t count = std::min(stretch.numel(), made.numel() - begin);
    made.view_at(begin, {count}).copy_from(stretch.view_at(0, {count}));
  }
  return made.reshape({side, side});
}

double measure_product(int64_t side, DType dtype, Device device, double budget) {
  const Tensor a = random_matrix(side, dtype, device);
  const Tensor b = random_matrix(side, dtype, device);
  const Tensor c = Tensor::empty({side, side}, DType::f32, Tag::workspace, device);
  const double seconds =
      best_seconds([&] { PAL_BACKEND(a, gemm(a, b, c, {.transpose_b = true})); }, device, budget);
  const auto n = static_cast<double>(side);
  return 2.0 * n * n * n / seconds * 1e-9;
}

/// Size of the first processor's cache of that level as the kernel tells it: sysconf may give the
/// whole socket's.
int64_t cache_bytes(int cache_level, int64_t otherwise) {
  for (int index = 0; index < 8; ++index) {
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/", index);
    int level = 0;
    std::string type;
    int64_t kibibytes = 0;
    std::ifstream(folder + "level") >> level;
    std::ifstream(folder + "type") >> type;
    std::ifstream(folder + "size") >> kibibytes;
    if (level == cache_level && type != "Instruction" && kibibytes > 0) return kibibytes << 10;
  }
  return otherwise;
}

}  // namespace

const MeasuredRoofs::Level& MeasuredRoofs::level(int64_t bytes) const {
  expect(!levels.empty(), "roofs: not measured");
  for (const Level& one : levels)
    if (bytes <= one.fits) return one;
  return levels.back();
}

Roofs MeasuredRoofs::roofs(bool bf16_run) const {
  Roofs made;
  // A smaller level is never slower: if it seems so, the machine was disturbed.
  double rate = 0.0;
  for (auto one = levels.rbegin(); one != levels.rend(); ++one) {
    rate = std::max(rate, one->best());
    made.bandwidths.insert(made.bandwidths.begin(), {one->fits, rate});
  }
  made.f32 = f32;
  made.bf16 = bf16;
  made.bf16_run = bf16_run;
  made.gpu = gpu;
  return made;
}

std::string MeasuredRoofs::str() const {
  std::string text = "roofs:";
  for (const Level& one : levels)
    text += fmt::format(
        " {} {:.1f} GB/s{},", one.name, one.best(),
        &one == &levels.back()
            ? std::string()
            : fmt::format(" up to {:.1f} MiB", static_cast<double>(one.fits) / 1048576.0));
  text += fmt::format(" matrix product {:.0f} GFLOP/s f32", f32);
  if (bf16 > 0.0) text += fmt::format(", {:.0f} bf16", bf16);
  return text;
}

MeasuredRoofs measure_roofs(Device device, const RoofOptions& options) {
  MeasuredRoofs measured;
  const DeviceScope scope(device);
  measured.gpu = device.is_cuda();
  measured.threads = thread_count();
  const bool has_bf16 = device.is_cuda() || cpu_has_bf16();
  const double budget = options.seconds / 5.0;
  constexpr int64_t kNoLimit = int64_t{1} << 62;
  int64_t memory = options.memory_bytes;
  if (memory == 0) memory = device.is_cuda() ? int64_t{3} << 28 : 384'000'000;
  if (device.is_cuda()) {
    // Of one level alone: what a step moves does not stay in a GPU's second-level cache.
    measured.levels.push_back(measure_level("memory", memory, kNoLimit, device, 2 * budget));
  } else {
    const int64_t cores = std::min<int64_t>(thread_count(), sysconf(_SC_NPROCESSORS_ONLN));
    const int64_t l2 = cores * cache_bytes(2, int64_t{1} << 20);
    // A virtual machine may be told of the whole socket's cache.
    const int64_t l3 =
        std::clamp<int64_t>(cache_bytes(3, int64_t{8} << 20), 2 * l2, int64_t{64} << 20);
    // A level's roof is measured with half of it, and holds for work that fills three quarters.
    const auto memory_level = measure_level("memory", memory, kNoLimit, device, budget);
    const auto l3_level = measure_nearer("L3", l3 / 2, l3 * 3 / 4, memory_level, budget);
    measured.levels = {measure_nearer("L2", l2 / 2, l2 * 3 / 4, l3_level, budget), l3_level,
                       memory_level};
  }
  int64_t side = options.product_side;
  if (side == 0) side = device.is_cuda() ? 8192 : 1536;
  measured.f32 = measure_product(side, DType::f32, device, budget);
  if (has_bf16) measured.bf16 = measure_product(side, DType::bf16, device, budget);
  Allocator::of(device).trim();
  return measured;
}

}  // namespace pal
