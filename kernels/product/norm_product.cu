#include "kernels/arrays/elementwise.h"
#include "kernels/arrays/reduce.h"
#include "kernels/norm/batch_norm_check.h"
#include "kernels/product/norm_product_backend.h"
#include "kernels/product/normalised_rows.cuh"

// y = relu?(batch norm(x)) weight^T + bias.
//
// Data flow: a block computes tiles of 128 rows by 64 columns, 32 channels of x at a time. While its
// warps multiply one step's operands, which lie in shared memory, each thread has the next step's in
// registers, on their way from global memory; it normalises and rounds them when it writes them to
// the other half of shared memory. A block takes several tiles of the same rows one after the other,
// so that the first-level cache has x for all but the first. The results meet in shared memory, from
// where whole rows are written and columns are summed.
// Memory: the sums of each tile's columns, f32 [tiles of rows, 2, out], if they are wanted.
namespace pal::cuda {
namespace {

constexpr int kRows = 128;
constexpr int kColumns = 64;
constexpr int kColumnPitch = kColumns + kGroup;
/// Channels of a step.
constexpr int kTerms = 32;
/// Elements from one row of operands to the next: fragments are read without bank conflicts.
constexpr int kTermPitch = kTerms + 8;
constexpr int kGroupsOfStep = kTerms / kGroup;
/// Rows that the threads of a block move at a time.
constexpr int kRowsAtOnce = kThreads / kGroupsOfStep;
/// A warp's part of a tile: four warps along its rows, two along its columns.
constexpr int kWarpsDown = 4;
constexpr int kWarpRows = kRows / kWarpsDown;
constexpr int kWarpColumns = kColumns / 2;
/// Work items that keep a device busy; a block's tiles are fewer rather than those.
constexpr int64_t kFewestItems = 1024;

template <typename X>
struct Product {
  NormalisedRows<X> x;
  const bfloat16* weight;  ///< [out][channels]
  const float* bias;       ///< null: none
  bfloat16* y;
  int out;
  int item_columns;   ///< of a work item: a multiple of kColumns
  int items_of_rows;  ///< work items that share their rows
  int64_t items;
  float* partial;  ///< [tiles of rows][2][out]; null: no sums wanted
};

/// The numbers of all channels in shared memory, [3][channels]: mean, slope, bias.
template <typename X>
__device__ void load_numbers(const NormalisedRows<X>& x, float* numbers) {
  for (int c = static_cast<int>(threadIdx.x); c < x.channels; c += kThreads) {
    numbers[c] = x.mean[c];
    numbers[x.channels + c] = x.inv_std[c] * x.weight[c];
    numbers[2 * x.channels + c] = x.bias[c];
  }
}

/// Those of the four channels from `channel` on.
__device__ inline QuadAffine affine_of(const float* numbers, int channels, int channel) {
  return {load_vector<4>(numbers + channel), load_vector<4>(numbers + channels + channel),
          load_vector<4>(numbers + 2 * channels + channel)};
}

/// One step's operands of a thread, between global and shared memory.
template <typename X>
struct StepInFlight {
  static constexpr int kRowTurns = kRows / kRowsAtOnce;
  static constexpr int kColumnTurns = kColumns / kRowsAtOnce;

  __device__ void load(const Product<X>& p, int64_t first_row, int first_column, int step) {
    const int thread = static_cast<int>(threadIdx.x);
    channel = step * kTerms + thread % kGroupsOfStep * kGroup;
    const int row = thread / kGroupsOfStep;
#pragma unroll
    for (int i = 0; i < kRowTurns; ++i) x[i] = p.x.load(first_row + row + i * kRowsAtOnce, channel);
#pragma unroll
    for (int i = 0; i < kColumnTurns; ++i) {
      const int column = first_column + row + i * kRowsAtOnce;
      weight[i] = column < p.out && channel < p.x.channels
                      ? load_group(p.weight + static_cast<int64_t>(column) * p.x.channels + channel)
                      : GroupOf<bfloat16>{};
    }
  }

  /// Writes h [kRows][kTermPitch] and the weights [kColumns][kTermPitch] behind it. Beyond the last
  /// channel both are zero.
  __device__ void store(const Product<X>& p, const float* numbers, bfloat16* tile) const {
    const int thread = static_cast<int>(threadIdx.x);
    bfloat16* to = tile + thread / kGroupsOfStep * kTermPitch + thread % kGroupsOfStep * kGroup;
    // Half of the channels at a time, which takes fewer registers.
    uint2 words[kRowTurns][2] = {};
    if (channel < p.x.channels) {
      normalise<0>(p.x, numbers, words);
      normalise<1>(p.x, numbers, words);
    }
#pragma unroll
    for (int i = 0; i < kRowTurns; ++i)
      store_group(to + i * kRowsAtOnce * kTermPitch,
                  make_uint4(words[i][0].x, words[i][0].y, words[i][1].x, words[i][1].y));
#pragma unroll
    for (int i = 0; i < kColumnTurns; ++i)
      store_group(to + (kRows + i * kRowsAtOnce) * kTermPitch, words_of(weight[i]));
  }

  template <int kHalf>
  __device__ void normalise(const NormalisedRows<X>& rows, const float* numbers,
                            uint2 (&words)[kRowTurns][2]) const {
    const QuadAffine affine = affine_of(numbers, rows.channels, channel + 4 * kHalf);
#pragma unroll
    for (int i = 0; i < kRowTurns; ++i)
      words[i][kHalf] = normalised_words<4 * kHalf>(x[i], affine, rows.floor);
  }

  int channel;
  GroupOf<X> x[kRowTurns];
  GroupOf<bfloat16> weight[kColumnTurns];
};

/// A warp's results.
struct WarpTile {
  Accumulator sums[kWarpRows / 16][kWarpColumns / 8];

  __device__ static int first_row() {
    return static_cast<int>(threadIdx.x) / 32 % kWarpsDown * kWarpRows;
  }
  __device__ static int first_column() {
    return static_cast<int>(threadIdx.x) / 32 / kWarpsDown * kWarpColumns;
  }

  /// Adds the products of one step's operands.
  __device__ void add(const bfloat16* tile) {
    const bfloat16* left = tile + first_row() * kTermPitch;
    const bfloat16* right = tile + (kRows + first_column()) * kTermPitch;
#pragma unroll
    for (int k = 0; k < kTerms; k += 16) {
      Fragment a[kWarpRows / 16];
#pragma unroll
      for (int i = 0; i < kWarpRows / 16; ++i)
        a[i] = load_fragment<false>(left + 16 * i * kTermPitch + k, kTermPitch);
#pragma unroll
      for (int j = 0; j < kWarpColumns / 16; ++j) {
        const Fragment b = load_fragment<false>(right + 16 * j * kTermPitch + k, kTermPitch);
#pragma unroll
        for (int i = 0; i < kWarpRows / 16; ++i) {
          multiply_add<0>(sums[i][2 * j], a[i], b);
          multiply_add<1>(sums[i][2 * j + 1], a[i], b);
        }
      }
    }
  }

  /// Writes the results plus bias, rounded, to results [kRows][kColumnPitch].
  __device__ void store(const float* bias, int column_of_tile, int out, bfloat16* results) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int row = first_row() + lane / 4;
#pragma unroll
    for (int j = 0; j < kWarpColumns / 8; ++j) {
      const int column = first_column() + 8 * j + 2 * (lane % 4);
      const int at = column_of_tile + column;
      const bool biased = bias != nullptr && at < out;
      const float left = biased ? bias[at] : 0.0F;
      const float right = biased ? bias[at + 1] : 0.0F;
#pragma unroll
      for (int i = 0; i < kWarpRows / 16; ++i)
#pragma unroll
        for (int half = 0; half < 2; ++half)
          *reinterpret_cast<uint32_t*>(results + (row + 16 * i + 8 * half) * kColumnPitch +
                                       column) =
              pack(sums[i][j].at[2 * half] + left, sums[i][j].at[2 * half + 1] + right);
    }
  }
};

/// Writes the rows of a tile's results that exist to y.
template <typename X>
__device__ void write_rows(const Product<X>& p, const bfloat16* results, int64_t first_row,
                           int first_column) {
  constexpr int kGroupsOfRow = kColumns / kGroup;
  const int thread = static_cast<int>(threadIdx.x);
  const int column = thread % kGroupsOfRow * kGroup;
  if (first_column + column >= p.out) return;
#pragma unroll 4
  for (int row = thread / kGroupsOfRow; row < kRows; row += kThreads / kGroupsOfRow)
    if (first_row + row < p.x.rows)
      *reinterpret_cast<uint4*>(p.y + (first_row + row) * p.out + first_column + column) =
          *reinterpret_cast<const uint4*>(results + row * kColumnPitch + column);
}

/// Sums of two columns and of their squares.
struct PairSums {
  float sum[2] = {};
  float squares[2] = {};
};

/// Writes the sums of a tile's columns. `meeting`: shared memory for a PairSums of each thread. All
/// threads must call it.
template <typename X>
__device__ void write_sums(const Product<X>& p, const bfloat16* results, PairSums* meeting,
                           int64_t first_row, int first_column) {
  constexpr int kPairs = kColumns / 2;
  constexpr int kLanes = kThreads / kPairs;
  const int thread = static_cast<int>(threadIdx.x);
  const int pair = thread % kPairs;
  const int rows = static_cast<int>(p.x.rows - first_row < kRows ? p.x.rows - first_row : kRows);
  PairSums sums;
#pragma unroll 4
  for (int row = thread / kPairs; row < rows; row += kLanes)
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const auto value = static_cast<float>(results[row * kColumnPitch + 2 * pair + i]);
      sums.sum[i] += value;
      sums.squares[i] += value * value;
    }
  meeting[thread] = sums;
  __syncthreads();
  const int column = first_column + 2 * pair;
  if (thread >= kPairs || column >= p.out) return;
  for (int lane = 1; lane < kLanes; ++lane)
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      sums.sum[i] += meeting[lane * kPairs + pair].sum[i];
      sums.squares[i] += meeting[lane * kPairs + pair].squares[i];
    }
  float* to = p.partial + first_row / kRows * 2 * p.out + column;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    to[i] = sums.sum[i];
    to[p.out + i] = sums.squares[i];
  }
}

template <typename X>
__global__ void __launch_bounds__(kThreads, 2) norm_product_kernel(Product<X> p) {
  constexpr int kTile = (kRows + kColumns) * kTermPitch;
  static_assert(2 * kTile >= kRows * kColumnPitch + kThreads * kGroup,
                "results and sums take the place of the operands");
  PAL_SHARED(uint4, memory, 2 * kTile / kGroup);
  PAL_SHARED_DYNAMIC(float, numbers);
  auto* tiles = reinterpret_cast<bfloat16*>(memory);
  load_numbers(p.x, numbers);
  __syncthreads();
  const int steps = (p.x.channels + kTerms - 1) / kTerms;
  for (int64_t item = blockIdx.x; item < p.items; item += gridDim.x) {
    const int64_t row_tile = item / p.items_of_rows;
    const int64_t first_row = row_tile * kRows;
    const int begin = static_cast<int>(item - row_tile * p.items_of_rows) * p.item_columns;
    const int end = begin + p.item_columns < p.out ? begin + p.item_columns : p.out;
    for (int first_column = begin; first_column < end; first_column += kColumns) {
      WarpTile warp;
      StepInFlight<X> next;
      next.load(p, first_row, first_column, 0);
      next.store(p, numbers, tiles);
      __syncthreads();
      for (int step = 0; step < steps; ++step) {
        const bool more = step + 1 < steps;
        if (more) next.load(p, first_row, first_column, step + 1);
        warp.add(tiles + step % 2 * kTile);
        if (more) next.store(p, numbers, tiles + (step + 1) % 2 * kTile);
        __syncthreads();
      }
      warp.store(p.bias, first_column, p.out, tiles);
      __syncthreads();
      write_rows(p, tiles, first_row, first_column);
      if (p.partial != nullptr)
        write_sums(p, tiles, reinterpret_cast<PairSums*>(tiles + kRows * kColumnPitch), first_row,
                   first_column);
      __syncthreads();
    }
  }
}

/// The weights in bf16 at an aligned address.
Tensor rounded_weight(const Tensor& weight) {
  if (weight.dtype() == DType::bf16 && reinterpret_cast<uintptr_t>(weight.raw()) % 16 == 0)
    return weight;
  const Tensor copy = Tensor::empty(weight.shape(), DType::bf16, Tag::workspace, weight.device());
  copy_convert(weight, copy);
  return copy;
}

template <typename X>
void product(const Tensor& x, const BatchNormArgs& norm, bool relu, const Tensor& weight,
             const Tensor& bias, const Tensor& y, const Tensor& sums) {
  const Tensor rounded = rounded_weight(weight);
  const int64_t row_tiles = (x.rows() + kRows - 1) / kRows;
  const int64_t column_tiles = (y.channels() + kColumns - 1) / kColumns;
  const int64_t tiles_of_item =
      std::clamp<int64_t>(row_tiles * column_tiles / kFewestItems, 1, column_tiles);
  const int64_t items_of_rows = (column_tiles + tiles_of_item - 1) / tiles_of_item;
  Tensor partial;
  if (sums.defined())
    partial = Tensor::empty({row_tiles, 2 * y.channels()}, DType::f32, Tag::workspace, x.device());
  const Product<X> p = {normalised_rows<X>(x, norm, relu),
                        rounded.data<bfloat16>(),
                        bias.defined() ? bias.data<float>() : nullptr,
                        y.data<bfloat16>(),
                        static_cast<int>(y.channels()),
                        static_cast<int>(tiles_of_item) * kColumns,
                        static_cast<int>(items_of_rows),
                        row_tiles * items_of_rows,
                        partial.defined() ? partial.data<float>() : nullptr};
  const auto shared = static_cast<size_t>(3 * x.channels()) * sizeof(float);
  launch(norm_product_kernel<X>, grid_for(p.items, 1), kThreads, shared, stream(), p);
  if (sums.defined()) channel_sums(partial, sums.reshape({sums.numel()}));
}

}  // namespace

void norm_product(const Tensor& x, const BatchNormArgs& norm, bool relu, const Tensor& weight,
                  const Tensor& bias, const Tensor& y, const Tensor& sums) {
  if (x.dtype() == DType::bf16)
    product<bfloat16>(x, norm, relu, weight, bias, y, sums);
  else
    product<float>(x, norm, relu, weight, bias, y, sums);
}

}  // namespace pal::cuda
