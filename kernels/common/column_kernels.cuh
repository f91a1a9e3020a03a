#pragma once
#include "kernels/common/column_tiles.cuh"

// The two kinds of kernels with numbers per channel, over the tiles of column_tiles.cuh: maps of
// lines, and sums over rows by channel. A functor says what they compute.
//
// Data flow of sums: a thread adds its lines of a column in float, sum_lanes adds the threads of a
// column, each work item writes the sums of its chunk, and a second launch adds all chunks in
// double and hands a channel's two sums to `finish`, which does with them what the caller wants.
// Memory: partial sums, f32 [chunks * fold, channels, 2], are the only extra memory.
// The trick: every addition is part of a tree that the shape fixes, so no float atomics, and the
// same bits on any grid.
namespace pal::cuda {

/// Runs a Map, an elementwise operation on the columns of a thread. It has
///   kWidth    elements of an access
///   kUnroll   lines that a thread reads at once
///   Channels  the numbers of a column's channels; Channels channels(const ColumnPlace&)
///   Line      what it reads of a line; Line load(int64_t line, int element)
///   void store(int64_t line, int element, const Channels&, const Line&).
/// Chunks are taken from the last to the first: the end of what the kernel before has read or
/// written, and the beginning of what the next one reads, may lie in the cache.
template <typename Map>
__global__ void __launch_bounds__(kThreads) column_map_kernel(Map map, ColumnTiles tiles) {
  for (int64_t item = blockIdx.x; item < tiles.items(); item += gridDim.x) {
    const ColumnPlace at = tiles.place<Map::kWidth>(tiles.items() - 1 - item);
    if (!at.active) continue;
    const auto channels = map.channels(at);
    for_each_line<Map::kUnroll>(
        at, tiles.lanes, [&](int64_t line) { return map.load(line, at.element); },
        [&](int64_t line, const auto& data) { map.store(line, at.element, channels, data); });
  }
}

/// Launches column_map_kernel over all work items of the tiles.
template <typename Map>
void launch_column_map(const Map& map, const ColumnTiles& tiles) {
  launch(column_map_kernel<Map>, grid_for(tiles.items(), 1), kThreads, 0, stream(), map, tiles);
}

/// Adds the kCount sums of a column's threads to those of its lane 0, as a fixed tree. All threads
/// of the block must call it.
template <int kCount>
__device__ inline void sum_lanes(float (&sums)[kCount], int lane, const ColumnTiles& tiles) {
  PAL_SHARED(float, upper, kCount* kThreads / 2);
  const int thread = static_cast<int>(threadIdx.x);
  for (int count = tiles.lanes; count > 1;) {
    const int kept = (count + 1) / 2;
    if (lane >= kept && lane < count) {
#pragma unroll
      for (int k = 0; k < kCount; ++k)
        upper[k * (kThreads / 2) + thread - kept * tiles.tile] = sums[k];
    }
    __syncthreads();
    if (lane + kept < count) {
#pragma unroll
      for (int k = 0; k < kCount; ++k) sums[k] += upper[k * (kThreads / 2) + thread];
    }
    __syncthreads();
    count = kept;
  }
}

/// Runs a Sums, two sums over rows by channel: like a Map, but instead of store it has
///   void add(int64_t line, int element, const Channels&, const Line&, float* a, float* b),
/// which adds the terms of kWidth channels to both sums (and may write what belongs to the line).
/// Overwrites partial [chunks * fold, channels] with the sums of each chunk.
template <typename Sums>
__global__ void __launch_bounds__(kThreads)
    column_sums_kernel(Sums sums, ColumnTiles tiles, float2* partial) {
  constexpr int kWidth = Sums::kWidth;
  for (int64_t item = blockIdx.x; item < tiles.items(); item += gridDim.x) {
    const ColumnPlace at = tiles.place<kWidth>(item);
    // The first kWidth are one sum, the others the second.
    float both[2 * kWidth] = {};
    if (at.active) {
      const auto channels = sums.channels(at);
      for_each_line<Sums::kUnroll>(
          at, tiles.lanes, [&](int64_t line) { return sums.load(line, at.element); },
          [&](int64_t line, const auto& data) {
            sums.add(line, at.element, channels, data, both, both + kWidth);
          });
    }
    sum_lanes(both, at.lane, tiles);
    if (at.active && at.lane == 0) {
      float2* to = partial + at.chunk * tiles.fold * tiles.channels + at.element;
#pragma unroll
      for (int k = 0; k < kWidth; ++k) to[k] = make_float2(both[k], both[kWidth + k]);
    }
  }
}

/// Adds the rows of partial [rows, channels] in double and calls finish(channel, first, second) in
/// one thread per channel.
template <typename Finish>
__global__ void __launch_bounds__(kThreads)
    column_finish_kernel(const float2* partial, int64_t rows, int channels, Finish finish) {
  // Thread (row lane, column): a warp reads a sector of each of eight rows.
  constexpr int kColumns = 4;
  constexpr int kRowLanes = kThreads / kColumns;
  constexpr int kUnroll = 8;
  constexpr int kWarps = kThreads / 32;
  PAL_SHARED(double, firsts, kWarps* kColumns);
  PAL_SHARED(double, seconds, kWarps* kColumns);
  const int thread = static_cast<int>(threadIdx.x);
  const int column = thread % kColumns;
  for (int begin = static_cast<int>(blockIdx.x) * kColumns; begin < channels;
       begin += static_cast<int>(gridDim.x) * kColumns) {
    const int channel = begin + column;
    double first = 0.0;
    double second = 0.0;
    if (channel < channels) {
      for (int64_t row = thread / kColumns; row < rows; row += kUnroll * kRowLanes) {
        float2 sums[kUnroll];
#pragma unroll
        for (int i = 0; i < kUnroll; ++i)
          sums[i] = row + i * kRowLanes < rows ? partial[(row + i * kRowLanes) * channels + channel]
                                               : make_float2(0.0F, 0.0F);
#pragma unroll
        for (int i = 0; i < kUnroll; ++i) {
          first += static_cast<double>(sums[i].x);
          second += static_cast<double>(sums[i].y);
        }
      }
    }
#pragma unroll
    for (int distance = 16; distance >= kColumns; distance /= 2) {
      first += __shfl_xor_sync(0xffffffffU, first, distance);
      second += __shfl_xor_sync(0xffffffffU, second, distance);
    }
    if (thread % 32 < kColumns) {
      firsts[thread / 32 * kColumns + column] = first;
      seconds[thread / 32 * kColumns + column] = second;
    }
    __syncthreads();
    if (thread < kColumns && channel < channels) {
      for (int warp = 1; warp < kWarps; ++warp) {
        first += firsts[warp * kColumns + column];
        second += seconds[warp * kColumns + column];
      }
      finish(channel, first, second);
    }
    __syncthreads();
  }
}

/// Two sums over all rows of a layout's tensors, by channel: make_sums(width, tiles) gives the
/// functor of the sums, finish(channel, first, second) takes them, on the GPU. Two launches, a
/// third if some rows fill no line.
template <int kWidest, typename MakeSums, typename Finish>
void sum_columns(const ColumnLayout& layout, Device device, const MakeSums& make_sums,
                 const Finish& finish) {
  const int64_t main_rows = layout.main.chunks * layout.main.fold;
  const int64_t rows = main_rows + layout.rest.chunks;
  const int channels = layout.main.channels;
  const Tensor partial = Tensor::empty({rows, channels, 2}, DType::f32, Tag::workspace, device);
  auto* sums_at = reinterpret_cast<float2*>(partial.data<float>());
  layout.for_each<kWidest>([&](auto width, const ColumnTiles& tiles) {
    const auto sums = make_sums(width, tiles);
    float2* to = tiles.first_row == 0 ? sums_at : sums_at + main_rows * channels;
    launch(column_sums_kernel<std::remove_const_t<decltype(sums)>>, grid_for(tiles.items(), 1),
           kThreads, 0, stream(), sums, tiles, to);
  });
  launch(column_finish_kernel<Finish>, grid_for(channels, 4), kThreads, 0, stream(), sums_at, rows,
         channels, finish);
}

/// A `finish` of sum_columns that adds to two arrays f64 [channels].
struct AddSums {
  AddSums(double* to_first, double* to_second) : first(to_first), second(to_second) {}
  /// Adds to sums [2, channels] f64.
  explicit AddSums(const Tensor& sums)
      : AddSums(sums.data<double>(), sums.data<double>() + sums.channels()) {}
  __device__ void operator()(int channel, double a, double b) const {
    first[channel] += a;
    second[channel] += b;
  }
  double* first;
  double* second;
};

}  // namespace pal::cuda
