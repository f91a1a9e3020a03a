#pragma once
#include <benchmark/benchmark.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bench/support/stopwatch.h"
#include "experiments/planning/roofs.h"
#include "runtime/tensor.h"

namespace pal::bench {

/// What all cases run on; settings of the process, made before cases are added.
struct Target {
  Device device;
  /// Of the main tensor of a streaming case on a GPU: several times its second-level cache.
  int64_t elements = int64_t{1} << 26;
  bool all = false;  ///< all sizes and types on the CPU too, which takes much longer
};
Target& target();

/// Sizes of the streaming cases. On the CPU all tensors of a case in the second-level caches, or
/// far larger than any cache; on a GPU the latter alone.
struct Size {
  const char* name;
  int64_t elements;  ///< of the case's main tensor, about
  bool in_cache;
};
std::vector<Size> sizes();

/// What one call of a kernel must move and compute at least.
struct Cost {
  int64_t bytes = 0;         ///< read and written ones counted together
  int64_t flops = 0;         ///< multiplications and additions
  DType dtype = DType::f32;  ///< of the operands: whose peak bounds the operations
};

/// Measures `work` beside a copy of as many bytes, in turns, so that both see the same machine.
/// Counters: bytes, flops, us (of one call), GB/s, GFLOP/s, of_copy (the ratio of the two
/// bandwidths), from the fastest call of each on the CPU and from median ones on a GPU; and shares
/// of this run's roofs: of_triad (the bandwidth of a = b + s c in tensors that lie as far away),
/// of_peak (a large matrix product's rate) and of_roof (the least time that bandwidth and peak
/// allow / time).
void against_copy(benchmark::State& state, const Cost& cost, const Work& work,
                  Calls calls = Calls::recorded);

/// Measures `work` beside the best that the libraries do, with the same counters but for of_copy.
/// On the CPU `best` makes the same product in layouts of the library's choice: of_best, time of
/// best / time of work. On a GPU, where `best` is not asked: also TFLOP/s.
void against_best(benchmark::State& state, const Cost& cost, const Work& work,
                  const std::function<Work()>& best);

/// FLOP/s of a large square product of matrices, on a GPU at the current setting of tf32; measured
/// by the first call.
double peak_flops(DType dtype);

/// The limits of the target with this run's threads; measured by the first call.
const MeasuredRoofs& roofs();

/// Whether all sizes and types are measured: on a GPU, and on the CPU if asked for.
bool thorough();

/// Registers a case. `run` makes its tensors, which lie on the target's device, and calls one of
/// the functions above.
void add_case(const std::string& name, const std::function<void(benchmark::State&)>& run);

/// Names of the cases so far, in their order.
const std::vector<std::string>& case_names();

/// How matrix arithmetic is done: f32, bf16, and on a GPU also f32 by tf32.
struct Arithmetic {
  const char* name;
  DType dtype;
  bool tf32;
};
std::vector<Arithmetic> arithmetics();
/// Makes the GPU's libraries compute so from now on.
void apply(const Arithmetic& arithmetic);

/// A dense tensor of uniform numbers in [-1, 1) on the target's device.
Tensor random_tensor(const Shape& shape, DType dtype = DType::f32);
/// An index map on the target's device.
Tensor device_index(const std::vector<int32_t>& index);
/// [n, h, w, channels], about `elements` long: small images on the CPU; on a GPU images of the size
/// that this many channels have in ibinn-imagenet.
Shape image_shape(int64_t elements, int64_t channels);

/// Adds run(size, channels) for each size and each number of channels of `all`; for tensors in the
/// CPU's memory, where channels matter little, only for `in_memory` unless all are wanted.
template <typename Run>
void for_sizes(const std::vector<int64_t>& all, int64_t in_memory, Run&& run) {
  for (const Size& size : sizes())
    for (const int64_t channels : all)
      if (thorough() || size.in_cache || channels == in_memory) run(size, channels);
}

// One function per file of cases.
void add_conv_cases();
void add_matrix_cases();
void add_norm_cases();
void add_product_cases();
void add_coupling_cases();
void add_rearranging_cases();
void add_streaming_cases();
void add_head_cases();
void add_profiler_cases();

}  // namespace pal::bench
