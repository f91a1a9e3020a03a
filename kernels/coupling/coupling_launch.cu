// How calls of the CUDA coupling kernels are laid out, and the launches that finish their sums.
#include "kernels/coupling/coupling_launch.cuh"

#include <algorithm>
#include <limits>

namespace pal::cuda::coupling {
namespace {

/// Threads of a block that adds a sample's partial sums.
constexpr int kSampleThreads = 128;
/// Columns of a block that adds partial sums by channel: one 32-byte sector of each row.
constexpr int kColumns = 8;

__global__ __launch_bounds__(kSampleThreads) void sample_sums_kernel(
    const double* partial, int64_t samples, int64_t per_sample, double factor, bool add,
    const double* extra, double extra_factor, double* sums) {
  for (int64_t n = blockIdx.x; n < samples; n += gridDim.x) {
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < per_sample; i += kSampleThreads)
      sum += partial[n * per_sample + i];
    sum = block_sum<kSampleThreads>(sum);
    if (threadIdx.x != 0) continue;
    sum = (add ? sums[n] : 0.0) + factor * sum;
    sums[n] = extra == nullptr ? sum : sum + extra_factor * *extra;
  }
}

/// Where the sums of columns go: those of act norm's offset and scale, then of the factors.
struct ChannelTargets {
  double* offset;
  double* scale;
  float* factors;
  int64_t channels;

  __device__ void add(int64_t column, double sum) const {
    if (column < channels)
      offset[column] += sum;
    else if (column < 2 * channels)
      scale[column - channels] += sum;
    else
      factors[column - 2 * channels] =
          static_cast<float>(static_cast<double>(factors[column - 2 * channels]) + sum);
  }
};

/// Thread (row lane, column): lanes of a warp hold four rows of kColumns columns. Of the `pitch`
/// columns those from `first` on and before `last` are added.
__global__ __launch_bounds__(kThreads) void channel_sums_kernel(const float* partial, int64_t rows,
                                                                int64_t pitch, int64_t first,
                                                                int64_t last,
                                                                ChannelTargets targets) {
  constexpr int kWarps = kThreads / 32;
  PAL_SHARED(double, of_warps, kWarps* kColumns);
  const int column = static_cast<int>(threadIdx.x) % kColumns;
  for (int64_t begin = first + static_cast<int64_t>(blockIdx.x) * kColumns; begin < last;
       begin += static_cast<int64_t>(gridDim.x) * kColumns) {
    const int64_t c = begin + column;
    double sum = 0.0;
    if (c < last) {
#pragma unroll 8
      for (int64_t row = threadIdx.x / kColumns; row < rows; row += kThreads / kColumns)
        sum += static_cast<double>(partial[row * pitch + c]);
    }
#pragma unroll
    for (int distance = 16; distance >= kColumns; distance /= 2)
      sum += __shfl_xor_sync(0xffffffffU, sum, distance);
    if (threadIdx.x % 32 < kColumns) of_warps[threadIdx.x / 32 * kColumns + threadIdx.x % 32] = sum;
    __syncthreads();
    if (threadIdx.x < kColumns && c < last) {
      sum = 0.0;
#pragma unroll
      for (int warp = 0; warp < kWarps; ++warp) sum += of_warps[warp * kColumns + column];
      targets.add(c, sum);
    }
    __syncthreads();
  }
}

bool is_aligned(const Tensor& tensor, int width) {
  return !tensor.defined() || reinterpret_cast<uintptr_t>(tensor.raw()) %
                                      static_cast<uintptr_t>(width * size_of(tensor.dtype())) ==
                                  0;
}

bool suits(const Tensor& tensor, int width) {
  return !tensor.defined() || (is_aligned(tensor, width) && tensor.channels() % width == 0 &&
                               (tensor.rows() <= 1 || tensor.pitch() % width == 0));
}

/// Threads of a block, a multiple of 32, most of which have an item of `items` a pixel.
int threads_for(int64_t items, int64_t pixels) {
  int best = 32;
  double best_share = 0.0;
  for (int threads = 32; threads <= kThreads; threads += 32) {
    const int64_t lanes = std::min<int64_t>(pixels, Split(static_cast<int>(items), threads).lanes);
    const int64_t turns = (items + threads - 1) / threads;
    const double share = static_cast<double>(items * lanes) /
                         static_cast<double>(std::max<int64_t>(1, turns) * threads);
    // Large blocks hide more of a tile's latency.
    if (share < 0.95 * best_share) continue;
    best = threads;
    best_share = std::max(share, best_share);
  }
  return best;
}

/// Pixels of a tile: as often as fits what the block visits at a time.
int64_t tile_for(const Halves& image, int64_t items, int threads, int64_t most) {
  const int64_t lanes = Split(static_cast<int>(items), threads).lanes;
  const int64_t fitting = std::min(most, kTileValues / std::max(1, image.channels()));
  const int64_t even = fitting / lanes * lanes;
  return std::clamp<int64_t>(even > 0 ? even : fitting, 1, std::max<int64_t>(1, image.pixels));
}

}  // namespace

Halves halves_of(int64_t samples, int64_t pixels, int64_t active, int64_t passive,
                 bool active_first) {
  return {samples,
          pixels,
          static_cast<int>(active),
          static_cast<int>(passive),
          static_cast<int>(active_first ? 0 : passive),
          static_cast<int>(active_first ? active : 0)};
}

MapPointers pointers_of(const OutputMap& map) {
  MapPointers to;
  if (map.scale.defined()) {
    to.scale = map.scale.data<float>();
    to.offset = map.offset.data<float>();
  }
  if (map.index.defined()) {
    to.index = map.index.data<int32_t>();
    to.inverse_index = map.inverse_index.data<int32_t>();
  }
  if (map.log_s_shift.defined()) to.log_s_shift = map.log_s_shift.data<double>();
  return to;
}

Gains gains_of(const CouplingGains& gains) {
  return {static_cast<float>(gains.clamp), static_cast<float>(gains.s_gain),
          static_cast<float>(gains.t_gain)};
}

Layout::Layout(const Halves& image, const OutputMap& map, std::initializer_list<Tensor> whole,
               std::initializer_list<Tensor> halves) {
  static_cast<Halves&>(geometry) = image;
  const auto all_suit = [](std::initializer_list<Tensor> tensors, int elements) {
    return std::all_of(tensors.begin(), tensors.end(),
                       [&](const Tensor& t) { return suits(t, elements); });
  };
  // Without a permutation the halves of v are read and written in the rows of y.
  const bool permuted = map.index.defined();
  const auto fits = [&] {
    return image.active % width == 0 && image.passive % width == 0 &&
           is_aligned(map.scale, width) && is_aligned(map.offset, width) &&
           is_aligned(map.inverse_index, width) && all_suit(halves, width) &&
           (permuted || all_suit(whole, width));
  };
  while (!fits()) width /= 2;

  const int64_t items = std::max(image.active, image.passive) / width;
  threads = threads_for(items, image.pixels);
  int64_t pitch = 1;
  for (const auto& tensors : {whole, halves})
    for (const Tensor& t : tensors)
      if (t.defined()) pitch = std::max(pitch, t.pitch());
  geometry.tile = static_cast<int>(
      tile_for(image, items, threads, std::numeric_limits<int32_t>::max() / pitch));
  const int64_t per_sample = (image.pixels + geometry.tile - 1) / geometry.tile;
  expect(image.samples * per_sample < int64_t{1} << 30,
         "coupling: {} samples of {} pixels are too many", image.samples, image.pixels);
  geometry.tiles_per_sample = static_cast<int>(per_sample);
  geometry.tiles = static_cast<int>(image.samples * per_sample);
  geometry.active_split = Split(image.active / width, threads);
  geometry.passive_split = Split(image.passive / width, threads);
  const bool fours = all_suit(whole, 4) && is_aligned(map.index, 4);
  geometry.row_split = Split(fours ? image.channels() / 4 : image.channels(), threads);
}

Tensor warp_sums(const Layout& layout, Device device) {
  const int64_t sums = int64_t{layout.geometry.tiles} * (layout.threads / 32);
  return Tensor::empty({std::max<int64_t>(1, sums)}, DType::f64, Tag::workspace, device);
}

void finish_sample_sums(const Tensor& partial, const Geometry& geometry, double factor, bool add,
                        const Tensor& sums, const Tensor& per_pixel) {
  const int64_t per_sample =
      geometry.tiles_per_sample == 0 ? 0 : partial.numel() / geometry.samples;
  launch(sample_sums_kernel, grid_for(geometry.samples, 1), kSampleThreads, 0, stream(),
         partial.data<double>(), geometry.samples, per_sample, factor, add,
         per_pixel.defined() ? per_pixel.data<double>() : nullptr,
         static_cast<double>(geometry.pixels), sums.data<double>());
}

void finish_channel_sums(const Tensor& partial, int64_t channels, const CouplingGrads& grads) {
  const bool act_norm = grads.scale.defined();
  const bool factors = grads.factor_sums.defined();
  const int64_t first = act_norm ? 0 : 2 * channels;
  const int64_t last = factors ? partial.size(1) : 2 * channels;
  const ChannelTargets targets{act_norm ? grads.offset.data<double>() : nullptr,
                               act_norm ? grads.scale.data<double>() : nullptr,
                               factors ? grads.factor_sums.data<float>() : nullptr, channels};
  launch(channel_sums_kernel, grid_for(last - first, kColumns), kThreads, 0, stream(),
         partial.data<float>(), partial.size(0), partial.size(1), first, last, targets);
}

}  // namespace pal::cuda::coupling
