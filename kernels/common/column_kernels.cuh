#pragma once
#include <cmath>

#include "kernels/common/column_tiles.cuh"
#include "kernels/common/last_block.cuh"

// The two kinds of kernels with numbers per channel, over the tiles of column_tiles.cuh: maps of
// lines, and sums over rows by channel. A functor says what they compute.
//
// Data flow of sums: a thread adds its lines of a column in float, sum_lanes adds the threads of a
// column, each work item writes the sums of its chunk, the last block of a group of chunks adds
// theirs in double, and the last of those hands a channel's two sums to `finish`, which does with
// them what the caller wants.
// Memory: partial sums, f32 [chunks * fold, channels, 2], and those of the groups, about the square
// root as many, are the only extra memory.
// The trick: every addition is part of a tree that the shape fixes, so no float atomics, and the
// same bits on any grid and in any order of the blocks.
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

/// How the sums of chunks become those of all rows, in the launch that writes the last of them. The
/// rows of `partial` are cut into groups; the last block that writes to a group adds its rows, and
/// the last of those adds the groups.
struct ColumnSumPlan {
  float2* partial;      ///< [rows, channels]: chunks * fold of one launch after another
  double2* group_sums;  ///< [groups, channels]
  unsigned* tickets;    ///< [domains, groups + 1]; null: a later launch finishes
  int64_t first_row;    ///< of the launch's own
  int64_t rows;         ///< of all launches
  int64_t group_chunks;
  int groups;
};

/// Chunks of a group: all if they are few, else the square root, so that both steps are short.
inline int64_t group_chunks_of(int64_t chunks) {
#ifdef PAL_EMULATE_CUDA
  constexpr int64_t kFew = 2;  // so that small tests have groups
#else
  constexpr int64_t kFew = 16;
#endif
  if (chunks <= kFew) return std::max<int64_t>(1, chunks);
  return static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(chunks))));
}

/// The channels whose sums a block may finish by itself: those of its tile where a line is one row,
/// else all, as any tile may hold any channel.
struct ColumnDomain {
  __device__ ColumnDomain(const ColumnTiles& tiles, int tile_rank, int width) {
    const bool own = tiles.fold == 1;
    rank = own ? tile_rank : 0;
    tile_count = own ? 1 : tiles.tiles;
    channel = own ? tile_rank * tiles.tile * width : 0;
    const int left = tiles.channels - channel;
    count = own && tiles.tile * width < left ? tiles.tile * width : left;
  }
  int rank;
  int tile_count;
  int channel;  ///< the first
  int count;
};

/// After a block has written the sums of a chunk: finishes what it was the last to write to. All
/// threads of the block must call it.
template <typename Finish>
__device__ inline void finish_columns(const ColumnSumPlan& plan, const ColumnTiles& tiles,
                                      const ColumnDomain& domain, int64_t chunk,
                                      const Finish& finish) {
  const int channels = tiles.channels;
  const auto group = static_cast<int>(chunk / plan.group_chunks);
  const int64_t begin = group * plan.group_chunks;
  const int64_t left = tiles.chunks - begin;
  const int64_t chunks = left < plan.group_chunks ? left : plan.group_chunks;
  unsigned* tickets = plan.tickets + domain.rank * (plan.groups + 1);
  if (!is_last_block(tickets + group, static_cast<unsigned>(chunks * domain.tile_count))) return;
  double2* sums = plan.group_sums + static_cast<int64_t>(group) * channels;
  const bool all = plan.groups == 1;  // also the rows of earlier launches
  add_pair_rows(plan.partial, all ? 0 : begin * tiles.fold,
                all ? plan.rows : (begin + chunks) * tiles.fold, channels, domain.channel,
                domain.count, [sums](int channel, double first, double second) {
                  sums[channel] = make_double2(first, second);
                });
  if (!is_last_block(tickets + plan.groups, static_cast<unsigned>(plan.groups))) return;
  add_pair_rows(static_cast<const double2*>(plan.group_sums), 0, plan.groups, channels,
                domain.channel, domain.count, finish);
}

/// Runs a Sums, two sums over rows by channel: like a Map, but instead of store it has
///   void add(int64_t line, int element, const Channels&, const Line&, float* a, float* b),
/// which adds the terms of kWidth channels to both sums (and may write what belongs to the line).
/// Overwrites the plan's rows of these tiles with the sums of each chunk and, if the plan says so,
/// calls finish(channel, first, second) with those of all rows in one thread per channel.
template <typename Sums, typename Finish>
__global__ void __launch_bounds__(kThreads, 3)
    column_sums_kernel(Sums sums, ColumnTiles tiles, ColumnSumPlan plan, Finish finish) {
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
      float2* to =
          plan.partial + (plan.first_row + at.chunk * tiles.fold) * tiles.channels + at.element;
#pragma unroll
      for (int k = 0; k < kWidth; ++k) to[k] = make_float2(both[k], both[kWidth + k]);
    }
    if (plan.tickets == nullptr) continue;
    const auto tile_rank = static_cast<int>(item - at.chunk * tiles.tiles);
    finish_columns(plan, tiles, ColumnDomain(tiles, tile_rank, kWidth), at.chunk, finish);
  }
}

/// Two sums over all rows of a layout's tensors, by channel: make_sums(width, tiles) gives the
/// functor of the sums, finish(channel, first, second) takes them, on the GPU. One launch, a second
/// if some rows fill no line.
template <int kWidest, typename MakeSums, typename Finish>
void sum_columns(const ColumnLayout& layout, Device device, const MakeSums& make_sums,
                 const Finish& finish) {
  const int64_t main_rows = layout.main.chunks * layout.main.fold;
  const int channels = layout.main.channels;
  ColumnSumPlan plan = {};
  plan.rows = main_rows + layout.rest.chunks;
  const Tensor partial =
      Tensor::empty({plan.rows, channels, 2}, DType::f32, Tag::workspace, device);
  plan.partial = reinterpret_cast<float2*>(partial.data<float>());
  Tensor group_sums;
  layout.for_each<kWidest>([&](auto width, const ColumnTiles& tiles) {
    const bool rest = tiles.first_row > 0;
    plan.first_row = rest ? main_rows : 0;
    const bool finishes = rest || layout.rest.lines == 0;
    // The rest is finished at once: it has few chunks.
    plan.group_chunks = rest ? tiles.chunks : group_chunks_of(tiles.chunks);
    plan.groups = static_cast<int>((tiles.chunks + plan.group_chunks - 1) / plan.group_chunks);
    if (finishes) {
      const int64_t domains = tiles.fold == 1 ? tiles.tiles : 1;
      plan.tickets = tickets(domains * (plan.groups + 1));
      group_sums = Tensor::empty({plan.groups, channels, 2}, DType::f64, Tag::workspace, device);
      plan.group_sums = reinterpret_cast<double2*>(group_sums.data<double>());
    }
    const auto sums = make_sums(width, tiles);
    launch(column_sums_kernel<std::remove_const_t<decltype(sums)>, Finish>,
           grid_for(tiles.items(), 1), kThreads, 0, stream(), sums, tiles, plan, finish);
  });
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
