#pragma once
#include <benchmark/benchmark.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bench/stopwatch.h"
#include "runtime/tensor.h"

namespace pal::bench {

/// What all cases run on; settings of the process, made before cases are added.
struct Target {
  Device device;
  /// Of the main tensor of a streaming case on a GPU: several times its second-level cache.
  int64_t elements = int64_t{1} << 26;
};
Target& target();

/// Sizes of the streaming cases. On the CPU all tensors of a case in the second-level caches, or
/// far larger than any cache; on a GPU the latter alone.
struct Size {
  const char* name;
  int64_t elements;  ///< of the case's main tensor, about
};
std::vector<Size> sizes();

/// Measures `work` beside a copy of as many bytes (read and written ones counted together), in
/// turns, so that both see the same machine. Counters: GB/s, and of_copy, the ratio of the two
/// bandwidths, from the fastest call of each on the CPU and from median ones on a GPU. Bytes are
/// the least the work must move.
void against_copy(benchmark::State& state, int64_t bytes, const Work& work,
                  Calls calls = Calls::recorded);

/// Measures `work` beside the best that the libraries do. On the CPU `best` makes the same product
/// in layouts of the library's choice: GFLOP/s and of_best, time of best / time of work. On a GPU,
/// where `best` is not asked: TFLOP/s and of_peak, the share of what a large matrix product in
/// `dtype` reaches in this run.
void against_best(benchmark::State& state, int64_t flops, DType dtype, const Work& work,
                  const std::function<Work()>& best);

/// FLOP/s of a large square product of matrices on the GPU, at the current setting of tf32;
/// measured by the first call.
double peak_flops(DType dtype);

/// Registers a case. `run` makes its tensors, which lie on the target's device, and calls one of
/// the functions above.
void add_case(const std::string& name, const std::function<void(benchmark::State&)>& run);

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

// One function per file of cases.
void add_conv_cases();
void add_matrix_cases();
void add_norm_cases();
void add_coupling_cases();
void add_rearranging_cases();
void add_streaming_cases();
void add_head_cases();

}  // namespace pal::bench
