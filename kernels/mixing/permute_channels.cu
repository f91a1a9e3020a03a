#include "kernels/mixing/permute_channels.h"

#include "kernels/common/items.cuh"
#include "kernels/mixing/permute_channels_check.h"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

/// Bytes of a block's tile that leave room for other blocks, unless a single row takes more.
constexpr int64_t kTileBytes = 16 * 1024;
/// Bytes of shared memory that a block may have without asking the driver.
constexpr int64_t kMostTileBytes = 48 * 1024;
/// Bytes of one access of every thread.
constexpr int64_t kLeastTileBytes = 16 * kThreads;
/// Tiles that keep all multiprocessors busy.
constexpr int64_t kTiles = 528;
/// Reads of a thread that are under way at once.
constexpr uint32_t kBatch = 4;

/// Gathers kWidth values of one row, those at index[0] .. index[kWidth - 1].
template <int kWidth, typename T>
__device__ inline Vec<T, kWidth> gather(const T* row, const int32_t* index) {
  const Vec<int32_t, kWidth> from = load_vector<kWidth>(index);
  Vec<T, kWidth> values;
#pragma unroll
  for (int k = 0; k < kWidth; ++k) values.at[k] = row[from.at[k]];
  return values;
}

/// A block brings a few whole rows into shared memory, so that global memory is read and written in
/// order and the scattered reads stay on the chip. `groups` accesses of kWidth make a row.
template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    permute_tile_kernel(const T* x, int64_t x_pitch, const int32_t* index, T* y, int64_t y_pitch,
                        int64_t rows, int64_t tile_rows, Divisor groups) {
  PAL_SHARED_DYNAMIC(T, tile);
  for (int64_t first = blockIdx.x * tile_rows; first < rows; first += gridDim.x * tile_rows) {
    const int64_t count = rows - first < tile_rows ? rows - first : tile_rows;
    const uint32_t items = static_cast<uint32_t>(count) * groups.value();
    for (uint32_t start = threadIdx.x; start < items; start += kBatch * kThreads) {
      Vec<T, kWidth> values[kBatch];
#pragma unroll
      for (uint32_t k = 0; k < kBatch; ++k) {
        const uint32_t i = start + k * kThreads;
        const uint32_t row = groups.quotient(i);
        const uint32_t group = i - row * groups.value();
        if (i < items)
          values[k] = load_vector<kWidth>(x + (first + row) * x_pitch + group * kWidth);
      }
#pragma unroll
      for (uint32_t k = 0; k < kBatch; ++k) {
        const uint32_t i = start + k * kThreads;
        if (i < items) store_vector_anywhere(tile + i * kWidth, values[k]);
      }
    }
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < items; i += kThreads) {
      const uint32_t row = groups.quotient(i);
      const uint32_t group = i - row * groups.value();
      store_vector(y + (first + row) * y_pitch + group * kWidth,
                   gather<kWidth>(tile + row * groups.value() * kWidth, index + group * kWidth));
    }
    __syncthreads();
  }
}

/// Permutes rows that shared memory does not hold, by scattered reads from global memory.
template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    permute_long_kernel(const T* x, int64_t x_pitch, const int32_t* index, T* y, int64_t y_pitch,
                        uint32_t items, Divisor groups) {
  for (uint32_t i = first_item(); i < items; i += item_step()) {
    const uint32_t row = groups.quotient(i);
    const uint32_t group = i - row * groups.value();
    store_vector(y + row * y_pitch + group * kWidth,
                 gather<kWidth>(x + row * x_pitch, index + group * kWidth));
  }
}

template <typename T, int kWidth>
void permute_wide(const Tensor& x, const Tensor& index, const Tensor& y) {
  const auto* order = index.data<int32_t>();
  const int64_t groups = x.channels() / kWidth;
  const int64_t row_bytes = x.channels() * static_cast<int64_t>(sizeof(T));
  if (row_bytes <= kMostTileBytes) {
    const int64_t tile_rows = std::max<int64_t>(
        1, std::clamp(x.rows() / kTiles, kLeastTileBytes / row_bytes, kTileBytes / row_bytes));
    launch(permute_tile_kernel<T, kWidth>, grid_for(x.rows(), tile_rows), kThreads,
           static_cast<size_t>(tile_rows * row_bytes), stream(), x.data<T>(), x.pitch(), order,
           y.data<T>(), y.pitch(), x.rows(), tile_rows, Divisor(groups));
    return;
  }
  for_each_part(x.rows(), groups, [&](int64_t first, int64_t count) {
    const int64_t items = count * groups;
    launch(permute_long_kernel<T, kWidth>, grid_for(items, kThreads), kThreads, 0, stream(),
           x.data<T>() + first * x.pitch(), x.pitch(), order, y.data<T>() + first * y.pitch(),
           y.pitch(), static_cast<uint32_t>(items), Divisor(groups));
  });
}

template <typename T>
void permute(const Tensor& x, const Tensor& index, const Tensor& y) {
  constexpr int kWidth = kVectorWidth<T>;
  if (vector_rows<kWidth>(x) && vector_rows<kWidth>(y) && vector_rows<kWidth>(index))
    permute_wide<T, kWidth>(x, index, y);
  else
    permute_wide<T, 1>(x, index, y);
}

}  // namespace

void permute_channels(const Tensor& x, const Tensor& index, const Tensor& y) {
  check_permute_channels(x, index, y);
  const ProfileScope scope("permute_channels", x.bytes() + y.bytes());
  if (x.numel() == 0) return;
  switch (x.dtype()) {
    case DType::f32:
      return permute<float>(x, index, y);
    case DType::bf16:
      return permute<bfloat16>(x, index, y);
    default:
      fail(ErrorKind::usage, "permute_channels: {} streams are for the CPU backend",
           name_of(x.dtype()));
  }
}

}  // namespace pal::cuda
