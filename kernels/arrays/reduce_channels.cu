#include <bit>

#include "kernels/arrays/reduce.h"
#include "kernels/arrays/reduce_check.h"
#include "kernels/common/block.cuh"
#include "kernels/common/gpu_dtypes.h"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

/// Rows that a thread adds at least.
constexpr int64_t kRowsPerThread = 16;
/// Most partial sums of a channel.
constexpr int64_t kParts = 512;
/// Columns of a finishing block: one 64-byte piece of each row of partial sums.
constexpr int kColumns = 8;

/// How a tensor is cut: a block adds `part` rows of a tile of channels. Its threads are `lanes`
/// rows of `tile` accesses each, some threads being left over. A function of the shape alone.
struct Cut {
  int64_t rows;
  int64_t groups;  ///< accesses that make a row
  int64_t part;    ///< rows of a partial sum
  int64_t parts;   ///< partial sums of a channel
  int64_t tiles;   ///< tiles that make a row
  int tile;        ///< accesses of a tile
  int lanes;       ///< rows that a block reads at a time

  Cut(int64_t row_count, int64_t group_count) : rows(row_count), groups(group_count) {
    tile = static_cast<int>(std::min<int64_t>(groups, kThreads));
    lanes = kThreads / tile;
    tiles = (groups + tile - 1) / tile;
    part = std::max(lanes * kRowsPerThread, (rows + kParts - 1) / kParts);
    parts = (rows + part - 1) / part;
  }
};

/// partial[part][channel] = sum over the rows of the part. `first_step`: the largest power of two
/// below the number of lanes, with which adding them begins.
template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    channel_parts_kernel(const T* x, int64_t pitch, Cut cut, int first_step, double* partial) {
  PAL_SHARED(double, of_threads, kThreads* kWidth);
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread / cut.tile;
  for (int64_t task = blockIdx.x; task < cut.parts * cut.tiles; task += gridDim.x) {
    const int64_t part = task / cut.tiles;
    const int64_t group = (task - part * cut.tiles) * cut.tile + (thread - lane * cut.tile);
    const bool works = lane < cut.lanes && group < cut.groups;
    double sums[kWidth] = {};
    if (works) {
      const int64_t end = (part + 1) * cut.part < cut.rows ? (part + 1) * cut.part : cut.rows;
#pragma unroll 8
      for (int64_t row = part * cut.part + lane; row < end; row += cut.lanes) {
        const Vec<T, kWidth> values = load_vector<kWidth>(x + row * pitch + group * kWidth);
#pragma unroll
        for (int k = 0; k < kWidth; ++k)
          sums[k] += static_cast<double>(static_cast<float>(values.at[k]));
      }
    }
#pragma unroll
    for (int k = 0; k < kWidth; ++k) of_threads[k * kThreads + thread] = sums[k];
    __syncthreads();
    for (int step = first_step; step > 0; step /= 2) {
      if (lane < step && lane + step < cut.lanes) {
#pragma unroll
        for (int k = 0; k < kWidth; ++k)
          of_threads[k * kThreads + thread] += of_threads[k * kThreads + thread + step * cut.tile];
      }
      __syncthreads();
    }
    if (works && lane == 0) {
#pragma unroll
      for (int k = 0; k < kWidth; ++k)
        partial[(part * cut.groups + group) * kWidth + k] = of_threads[k * kThreads + thread];
    }
    __syncthreads();
  }
}

/// sums[c] += sum over parts of partial[part][c]. A warp holds four rows of kColumns columns.
template <typename To>
__global__ void __launch_bounds__(kThreads)
    add_parts_kernel(const double* partial, int64_t parts, int64_t channels, To* sums) {
  constexpr int kWarps = kThreads / 32;
  PAL_SHARED(double, of_warps, kWarps* kColumns);
  const int column = static_cast<int>(threadIdx.x) % kColumns;
  for (int64_t first = blockIdx.x * int64_t{kColumns}; first < channels;
       first += gridDim.x * int64_t{kColumns}) {
    const int64_t c = first + column;
    double sum = 0.0;
    if (c < channels) {
#pragma unroll 4
      for (int64_t part = threadIdx.x / kColumns; part < parts; part += kThreads / kColumns)
        sum += partial[part * channels + c];
    }
#pragma unroll
    for (int distance = 16; distance >= kColumns; distance /= 2)
      sum += __shfl_xor_sync(0xffffffffU, sum, distance);
    if (threadIdx.x % 32 < kColumns) of_warps[threadIdx.x / 32 * kColumns + column] = sum;
    __syncthreads();
    if (threadIdx.x < kColumns && c < channels) {
      sum = 0.0;
#pragma unroll
      for (int warp = 0; warp < kWarps; ++warp) sum += of_warps[warp * kColumns + column];
      sums[c] = static_cast<To>(static_cast<double>(sums[c]) + sum);
    }
    __syncthreads();
  }
}

template <typename T, int kWidth>
Tensor channel_parts(const Tensor& x) {
  const Cut cut(x.rows(), x.channels() / kWidth);
  const Tensor partial =
      Tensor::empty({cut.parts, x.channels()}, DType::f64, Tag::workspace, x.device());
  const int first_step = static_cast<int>(std::bit_ceil(static_cast<unsigned>(cut.lanes))) / 2;
  launch(channel_parts_kernel<T, kWidth>, grid_for(cut.parts * cut.tiles, 1), kThreads, 0, stream(),
         x.data<T>(), x.pitch(), cut, first_step, partial.data<double>());
  return partial;
}

}  // namespace

void channel_sums(const Tensor& x, const Tensor& sums) {
  check_channel_sums(x, sums);
  const ProfileScope scope("channel_sums", x.bytes(), x.numel());
  dispatch_gpu("channel_sums", x.dtype(), [&](auto from) {
    using From = decltype(from);
    constexpr int kWidth = kVectorWidth<From>;
    dispatch_real("channel_sums", sums.dtype(), [&](auto to) {
      using To = decltype(to);
      const Tensor partial =
          vector_rows<kWidth>(x) ? channel_parts<From, kWidth>(x) : channel_parts<From, 1>(x);
      launch(add_parts_kernel<To>, grid_for(x.channels(), kColumns), kThreads, 0, stream(),
             partial.data<double>(), partial.size(0), x.channels(), sums.data<To>());
    });
  });
}

}  // namespace pal::cuda
