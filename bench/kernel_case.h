#pragma once
#include <benchmark/benchmark.h>

#include <cstdint>
#include <functional>
#include <string>

#include "runtime/tensor.h"

namespace pal::bench {

using Work = std::function<void()>;

/// Sizes of the streaming cases: all tensors of a case in the second-level caches, or far larger
/// than any cache.
struct Size {
  const char* name;
  int64_t elements;  ///< of the case's main tensor, about
};
inline constexpr Size kSizes[] = {{"cache", int64_t{1} << 16}, {"dram", int64_t{1} << 25}};

/// Measures `work` beside a copy of as many bytes (read and written ones counted together), call by
/// call in turns, so that both see the same machine. Counters from the fastest call of each: GB/s,
/// and of_copy, the ratio of the two bandwidths. Bytes are the least the work must move.
void against_copy(benchmark::State& state, int64_t bytes, const Work& work);

/// Measures `work` beside `best` in the same way: GFLOP/s and of_best, time of best / time of work.
void against_best(benchmark::State& state, int64_t flops, const Work& work, const Work& best);

/// Registers a case. `run` makes its tensors and calls one of the functions above.
void add_case(const std::string& name, const std::function<void(benchmark::State&)>& run);

/// A dense tensor of uniform numbers in [-1, 1), or of [n, h, w, c] about `elements` long with
/// small square images.
Tensor random_tensor(const Shape& shape, DType dtype = DType::f32);
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
