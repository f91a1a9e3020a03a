#pragma once
#include <type_traits>

#include "kernels/common/block.cuh"
#include "kernels/coupling/coupling.h"

// How the CUDA coupling kernels walk over an image.
//
// Data flow: a block takes tiles, runs of pixels of one sample. Each half's channels are cut into
// items of kWidth neighbours (4, 2 or 1, as alignment allows); a thread owns an item and visits
// every lanes-th pixel with it (Share), so that what belongs to its channels (act norm, places in
// y, running sums) is read once per tile and stays in registers.
// Memory: without a permutation the halves of v are columns of y and nothing is staged. With one,
// rows of y and of its gradient pass through shared memory, whole pixels side by side: global
// memory is accessed in order, the scattered accesses stay on the chip. Where a tile does not fit
// there, global memory is accessed at the permuted places.
// The trick: tiles follow from shapes and alignment alone; sums over a sample are written per warp
// of each tile and added by a second launch, so that no result depends on the grid.
namespace pal::cuda::coupling {

/// How the items of a tile (a pixel has `items`, of kWidth channels each) are shared among the
/// threads of a block: it visits `lanes` pixels at a time, or a pixel in several turns.
struct Split {
  int items = 0;            ///< of a pixel
  int lanes = 1;            ///< pixels that are visited at a time
  unsigned reciprocal = 0;  ///< 2^16 / items, rounded up: divides numbers below 2^8

  Split() = default;
  Split(int item_count, int threads) : items(item_count) {
    if (items == 0 || items >= threads) return;
    lanes = threads / items;
    reciprocal = (65536U + static_cast<unsigned>(items) - 1) / static_cast<unsigned>(items);
  }
};
static_assert(kThreads <= 256);

/// The halves of an image [samples, h, w, active + passive].
struct Halves {
  int64_t samples = 0;
  int64_t pixels = 0;  ///< per sample
  int active = 0;      ///< channels of the active half
  int passive = 0;     ///< channels of the passive half
  int active_at = 0;   ///< first channel of the active half in v
  int passive_at = 0;  ///< first channel of the passive half in v

  PAL_HD int channels() const { return active + passive; }
};

/// Geometry of one call: how its image is cut, and how a tile is shared out.
struct Geometry : Halves {
  int tile = 1;              ///< pixels of a tile
  int tiles_per_sample = 0;  ///< the last one may be short
  int tiles = 0;             ///< of all samples
  Split active_split;        ///< of the active half's channels
  Split passive_split;       ///< of the passive half's channels
  /// Of whole rows of y and its gradient: four channels an item if 16-byte accesses suit them, else
  /// one.
  Split row_split;

  int64_t tile_values() const { return static_cast<int64_t>(tile) * channels(); }
};

/// A run of pixels of one sample.
struct Tile {
  int sample;
  int64_t row;  ///< its first pixel, counted over the batch
  int count;    ///< its pixels
};

/// The tile of this rank, counted over the batch.
__device__ inline Tile tile_at(const Geometry& g, int index) {
  const int sample = index / g.tiles_per_sample;
  const int first = index - sample * g.tiles_per_sample;
  const int64_t pixel = static_cast<int64_t>(first) * g.tile;
  const int64_t left = g.pixels - pixel;
  return {sample, sample * g.pixels + pixel, left < g.tile ? static_cast<int>(left) : g.tile};
}

/// An operand's rows (pixels) of a tile, each `pitch` elements after the one before.
template <typename T>
struct TileRows {
  T* at;
  int pitch;

  // A tile spans fewer than 2^31 elements of every operand.
  __device__ T* row(int pixel) const { return at + pixel * pitch; }
};

/// All rows (pixels) of an operand: of a stream tensor or of the factors.
template <typename T>
struct Rows {
  T* at = nullptr;
  int64_t pitch = 0;

  __device__ TileRows<T> of(const Tile& tile) const {
    return {at + tile.row * pitch, static_cast<int>(pitch)};
  }
};

/// The thread's share of a tile: items first, first + blockDim.x, .. of pixels lane, lane + lanes,
/// .. It is cheaper to make again than to keep in registers.
struct Share {
  const Split& split;
  int first;
  int lane;

  __device__ explicit Share(const Split& s) : split(s) {
    lane = static_cast<int>(threadIdx.x * s.reciprocal >> 16);
    first = lane < s.lanes ? static_cast<int>(threadIdx.x) - lane * s.items : s.items;
  }

  /// Calls body(item) for the thread's items.
  template <typename Body>
  __device__ void for_each(Body&& body) const {
    for (int item = first; item < split.items; item += static_cast<int>(blockDim.x)) body(item);
  }
};

/// An OutputMap in memory of the GPU; null where there is none.
struct MapPointers {
  const float* scale = nullptr;
  const float* offset = nullptr;
  const int32_t* index = nullptr;
  const int32_t* inverse_index = nullptr;
  const double* log_s_shift = nullptr;

  __device__ float shift_of(int sample) const {
    return log_s_shift == nullptr ? 0.0F : static_cast<float>(log_s_shift[sample]);
  }
};

/// CouplingGains in the type of the arithmetic.
struct Gains {
  float clamp;
  float s_gain;
  float t_gain;
};

/// What belongs to kWidth neighbouring channels of v: act norm's values and their places in y.
template <int kWidth>
struct Channels {
  Vec<float, kWidth> scale;
  Vec<float, kWidth> offset;
  Vec<int32_t, kWidth> place;

  __device__ Channels(const MapPointers& map, int channel) {
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      scale.at[k] = 1.0F;
      offset.at[k] = 0.0F;
      place.at[k] = channel + k;
    }
    if (map.scale != nullptr) {
      scale = load_vector<kWidth>(map.scale + channel);
      offset = load_vector<kWidth>(map.offset + channel);
    }
    if (map.inverse_index != nullptr) place = load_vector<kWidth>(map.inverse_index + channel);
  }
};

/// 1 / value of each, by the GPU's reciprocal.
template <int kWidth>
__device__ inline Vec<float, kWidth> reciprocals(const Vec<float, kWidth>& values) {
  Vec<float, kWidth> result;
#pragma unroll
  for (int k = 0; k < kWidth; ++k) result.at[k] = gpu_math::reciprocal(values.at[k]);
  return result;
}

/// Loads kWidth neighbouring values as floats.
template <int kWidth, typename T>
__device__ inline Vec<float, kWidth> load_wide(const T* from) {
  const Vec<T, kWidth> values = load_vector<kWidth>(from);
  Vec<float, kWidth> wide;
#pragma unroll
  for (int k = 0; k < kWidth; ++k) wide.at[k] = static_cast<float>(values.at[k]);
  return wide;
}

/// Stores kWidth floats, rounded to T, in one access.
template <int kWidth, typename T>
__device__ inline void store_narrow(T* to, const Vec<float, kWidth>& wide) {
  if constexpr (std::is_same_v<T, float>) {
    store_vector<kWidth>(to, wide);
  } else {
    // As plain bits: nvcc copies a bfloat16 by its own operator, in an access of its own.
    Vec<uint16_t, kWidth> bits;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) bits.at[k] = T(wide.at[k]).bits;
    store_vector<kWidth>(reinterpret_cast<uint16_t*>(to), bits);
  }
}

/// Reads kWidth channels of v from a row of y, or of its gradient: from their places if the row is
/// permuted, else side by side.
template <int kWidth>
__device__ inline Vec<float, kWidth> take(const float* row, bool permuted, int channel,
                                          const Vec<int32_t, kWidth>& place) {
  if (!permuted) return load_vector<kWidth>(row + channel);
  Vec<float, kWidth> values;
#pragma unroll
  for (int k = 0; k < kWidth; ++k) values.at[k] = row[place.at[k]];
  return values;
}

/// Stores kWidth floats `offset` elements after an aligned place. Spelled as an index of whole
/// vectors, because nvcc takes apart most vector stores to shared memory otherwise.
template <int kWidth>
__device__ inline void store_at(float* to, int offset, const Vec<float, kWidth>& values) {
  reinterpret_cast<Vec<float, kWidth>*>(to)[static_cast<unsigned>(offset) / kWidth] = values;
}

/// Copies `count` rows of a tile, of `channels` elements, to shared memory, side by side.
template <int kWidth>
__device__ inline void stage_rows(const TileRows<const float>& rows, int count, const Share& share,
                                  int channels, float* to) {
  share.for_each([&](int item) {
#pragma unroll 4
    for (int p = share.lane; p < count; p += share.split.lanes)
      store_at<kWidth>(to, p * channels + item * kWidth,
                       load_vector<kWidth>(rows.row(p) + item * kWidth));
  });
}

/// Copies an operand's rows of a tile to shared memory if kStaged says so, and returns where they
/// are. The caller puts the barrier.
template <bool kStaged>
__device__ inline TileRows<const float> stage(const Rows<const float>& rows, const Tile& tile,
                                              const Geometry& g, float* to) {
  const TileRows<const float> from = rows.of(tile);
  if constexpr (!kStaged) {
    return from;
  } else {
    const Share share(g.row_split);
    if (g.row_split.items < g.channels())
      stage_rows<4>(from, tile.count, share, g.channels(), to);
    else
      stage_rows<1>(from, tile.count, share, g.channels(), to);
    return {to, g.channels()};
  }
}

/// The block's dynamic shared memory; null if the launch has none (`any` false).
__device__ inline float* shared_floats(bool any) {
  if (!any) return nullptr;
  PAL_SHARED_DYNAMIC(float, memory);
  return memory;
}

// A thread's log_s are summed in float over the pixels of an item, then in double. Those are at most
// 128 values of a tile, as a rule 8: the sum is within 128 x 2^-24, 1e-5, of its values' absolute
// sum, as a rule within 5e-7.

/// Writes the sum of `value` over each warp of the block to partial [tiles, warps]. All threads of
/// the block must call it.
__device__ inline void put_warp_sum(double value, int tile, double* partial) {
  value = warp_sum(value);
  if (threadIdx.x % 32 == 0)
    partial[static_cast<int64_t>(tile) * (blockDim.x / 32) + threadIdx.x / 32] = value;
}

}  // namespace pal::cuda::coupling
