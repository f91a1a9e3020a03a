#include "kernels/coupling/coupling_launch.cuh"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

using namespace coupling;

/// Operands of the forward and the two inverse kernels; y is written by the first and read by the
/// others.
struct Job {
  Geometry geometry;
  MapPointers map;
  Gains gains;
  Rows<float> active;
  Rows<float> passive;
  Rows<float> y;
  double* log_partial = nullptr;  ///< one sum of log_s per warp of each tile; null: not wanted

  __device__ Rows<const float> read_y() const { return {y.at, y.pitch}; }
};

/// Writes kWidth channels of v of a pixel: side by side, or to their places in y.
template <int kWidth>
__device__ inline void put(const TileRows<float>& rows, int pixel, bool scattered, int channel,
                           const Vec<int32_t, kWidth>& place, const Vec<float, kWidth>& v) {
  if (!scattered) return store_at<kWidth>(rows.at, pixel * rows.pitch + channel, v);
#pragma unroll
  for (int k = 0; k < kWidth; ++k) rows.row(pixel)[place.at[k]] = v.at[k];
}

/// Writes a tile of y from the staged rows of v.
template <int kWidth>
__device__ inline void write_permuted(const Job& job, const TileRows<float>& y, int count,
                                      const float* staged) {
  const Share share(job.geometry.row_split);
  const int channels = job.geometry.channels();
  share.for_each([&](int item) {
    const auto from = load_vector<kWidth>(job.map.index + item * kWidth);
#pragma unroll 2
    for (int p = share.lane; p < count; p += share.split.lanes)
      store_vector<kWidth>(y.row(p) + item * kWidth,
                           take<kWidth>(staged + p * channels, true, 0, from));
  });
}

template <typename F, int kWidth, bool kStaged>
__global__ __launch_bounds__(kThreads, 4) void forward_kernel(const Job job,
                                                              const Rows<const F> factors) {
  float* staged = shared_floats(kStaged);
  const Geometry& g = job.geometry;
  // Staged rows keep the order of v.
  const bool scattered = !kStaged && job.map.index != nullptr;
  const Share active_share(g.active_split);
  const Share passive_share(g.passive_split);
  for (int index = static_cast<int>(blockIdx.x); index < g.tiles;
       index += static_cast<int>(gridDim.x)) {
    const Tile tile = tile_at(g, index);
    const TileRows<float> y = job.y.of(tile);
    const TileRows<float> v = kStaged ? TileRows<float>{staged, g.channels()} : y;
    const TileRows<float> active = job.active.of(tile);
    const TileRows<float> passive = job.passive.of(tile);
    const TileRows<const F> tile_factors = factors.of(tile);
    const float shift = job.map.shift_of(tile.sample);
    double log_s_sum = 0.0;
    active_share.for_each([&](int item) {
      const int c = item * kWidth;
      const Channels<kWidth> channels(job.map, g.active_at + c);
      float item_sum = 0.0F;
      for (int p = active_share.lane; p < tile.count; p += active_share.split.lanes) {
        auto x = load_vector<kWidth>(active.row(p) + c);
        const auto s = load_wide<kWidth>(tile_factors.row(p) + c);
        const auto t = load_wide<kWidth>(tile_factors.row(p) + g.active + c);
#pragma unroll
        for (int k = 0; k < kWidth; ++k) {
          const float log_s =
              gpu_soft_clamp(s.at[k], job.gains.clamp, job.gains.s_gain).log_s - shift;
          x.at[k] = affine(affine(x.at[k], gpu_math::exp(log_s), job.gains.t_gain * t.at[k]),
                           channels.scale.at[k], channels.offset.at[k]);
          item_sum += log_s;
        }
        put(v, p, scattered, g.active_at + c, channels.place, x);
      }
      log_s_sum += static_cast<double>(item_sum);
    });
    passive_share.for_each([&](int item) {
      const int c = item * kWidth;
      const Channels<kWidth> channels(job.map, g.passive_at + c);
#pragma unroll 2
      for (int p = passive_share.lane; p < tile.count; p += passive_share.split.lanes) {
        auto x = load_vector<kWidth>(passive.row(p) + c);
#pragma unroll
        for (int k = 0; k < kWidth; ++k)
          x.at[k] = affine(x.at[k], channels.scale.at[k], channels.offset.at[k]);
        put(v, p, scattered, g.passive_at + c, channels.place, x);
      }
    });
    put_warp_sum(log_s_sum, index, job.log_partial);
    if constexpr (kStaged) {
      __syncthreads();
      if (g.row_split.items < g.channels())
        write_permuted<4>(job, y, tile.count, staged);
      else
        write_permuted<1>(job, y, tile.count, staged);
      __syncthreads();
    }
  }
}

template <typename F, int kWidth, bool kStaged>
__global__ __launch_bounds__(kThreads, 4) void inverse_kernel(const Job job,
                                                              const Rows<const F> factors) {
  float* staged = shared_floats(kStaged);
  const Geometry& g = job.geometry;
  const bool permuted = kStaged || job.map.index != nullptr;
  const Share active_share(g.active_split);
  for (int index = static_cast<int>(blockIdx.x); index < g.tiles;
       index += static_cast<int>(gridDim.x)) {
    const Tile tile = tile_at(g, index);
    const TileRows<const float> y = stage<kStaged>(job.read_y(), tile, g, staged);
    if constexpr (kStaged) __syncthreads();
    const TileRows<float> active = job.active.of(tile);
    const TileRows<const F> tile_factors = factors.of(tile);
    const float shift = job.map.shift_of(tile.sample);
    double log_s_sum = 0.0;
    active_share.for_each([&](int item) {
      const int c = item * kWidth;
      const Channels<kWidth> channels(job.map, g.active_at + c);
      const auto inverse_scale = reciprocals(channels.scale);
      float item_sum = 0.0F;
      for (int p = active_share.lane; p < tile.count; p += active_share.split.lanes) {
        const auto s = load_wide<kWidth>(tile_factors.row(p) + c);
        const auto t = load_wide<kWidth>(tile_factors.row(p) + g.active + c);
        auto x = take<kWidth>(y.row(p), permuted, g.active_at + c, channels.place);
#pragma unroll
        for (int k = 0; k < kWidth; ++k) {
          const float log_s =
              gpu_soft_clamp(s.at[k], job.gains.clamp, job.gains.s_gain).log_s - shift;
          x.at[k] = scaled_affine_inverse_by(x.at[k], gpu_math::reciprocal(gpu_math::exp(log_s)),
                                             job.gains.t_gain * t.at[k], inverse_scale.at[k],
                                             channels.offset.at[k]);
          item_sum += log_s;
        }
        store_vector<kWidth>(active.row(p) + c, x);
      }
      log_s_sum += static_cast<double>(item_sum);
    });
    if (job.log_partial != nullptr) put_warp_sum(log_s_sum, index, job.log_partial);
    if constexpr (kStaged) __syncthreads();
  }
}

template <int kWidth, bool kStaged>
__global__ __launch_bounds__(kThreads, 4) void inverse_passive_kernel(const Job job) {
  float* staged = shared_floats(kStaged);
  const Geometry& g = job.geometry;
  const bool permuted = kStaged || job.map.index != nullptr;
  const Share passive_share(g.passive_split);
  for (int index = static_cast<int>(blockIdx.x); index < g.tiles;
       index += static_cast<int>(gridDim.x)) {
    const Tile tile = tile_at(g, index);
    const TileRows<const float> y = stage<kStaged>(job.read_y(), tile, g, staged);
    if constexpr (kStaged) __syncthreads();
    const TileRows<float> passive = job.passive.of(tile);
    passive_share.for_each([&](int item) {
      const int c = item * kWidth;
      const Channels<kWidth> channels(job.map, g.passive_at + c);
      const auto inverse_scale = reciprocals(channels.scale);
#pragma unroll 2
      for (int p = passive_share.lane; p < tile.count; p += passive_share.split.lanes) {
        auto x = take<kWidth>(y.row(p), permuted, g.passive_at + c, channels.place);
#pragma unroll
        for (int k = 0; k < kWidth; ++k)
          x.at[k] = affine_inverse_by(x.at[k], inverse_scale.at[k], channels.offset.at[k]);
        store_vector<kWidth>(passive.row(p) + c, x);
      }
    });
    if constexpr (kStaged) __syncthreads();
  }
}

/// Whether y goes through shared memory: where it is permuted and a tile fits.
bool is_staged(const Geometry& geometry, const OutputMap& map) {
  return map.index.defined() && geometry.tile_values() <= kSharedFloats;
}

Job job_of(const Layout& layout, const OutputMap& map, const Tensor& y) {
  Job job;
  job.geometry = layout.geometry;
  job.map = pointers_of(map);
  job.y = rows_of<float>(y);
  return job;
}

template <typename F>
void forward(const Tensor& active, const Tensor& passive, const Tensor& factors,
             const CouplingGains& gains, const OutputMap& map, const Tensor& y,
             const Tensor& log_det) {
  const Layout layout(halves_of(factors, y.channels(), map.active_first), map, {y},
                      {active, passive, s_of(factors), t_of(factors)});
  const Geometry& geometry = layout.geometry;
  Job job = job_of(layout, map, y);
  job.gains = gains_of(gains);
  job.active = rows_of<float>(active);
  if (geometry.passive > 0) job.passive = rows_of<float>(passive);
  const Tensor partial = warp_sums(layout, y.device());
  job.log_partial = partial.data<double>();
  dispatch_bool(is_staged(geometry, map), [&](auto staged) {
    dispatch_width(layout.width, [&](auto width) {
      launch_blocks(forward_kernel<F, width(), staged()>, geometry.tiles, layout,
                    staged() ? geometry.tile_values() : 0, job, rows_of<const F>(factors));
    });
  });
  finish_sample_sums(partial, geometry, 1.0, true, log_det, map.log_scale_sum);
}

template <typename F>
void inverse(const Tensor& y, const Tensor& factors, const CouplingGains& gains,
             const OutputMap& map, const Tensor& active, const Tensor& log_det) {
  const Layout layout(halves_of(factors, y.channels(), map.active_first), map, {y},
                      {active, s_of(factors), t_of(factors)});
  const Geometry& geometry = layout.geometry;
  Job job = job_of(layout, map, y);
  job.gains = gains_of(gains);
  job.active = rows_of<float>(active);
  Tensor partial;
  if (log_det.defined()) {
    partial = warp_sums(layout, y.device());
    job.log_partial = partial.data<double>();
  }
  dispatch_bool(is_staged(geometry, map), [&](auto staged) {
    dispatch_width(layout.width, [&](auto width) {
      launch_blocks(inverse_kernel<F, width(), staged()>, geometry.tiles, layout,
                    staged() ? geometry.tile_values() : 0, job, rows_of<const F>(factors));
    });
  });
  if (log_det.defined()) finish_sample_sums(partial, geometry, -1.0, true, log_det);
}

}  // namespace

void coupling_forward(const Tensor& active, const Tensor& passive, const Tensor& factors,
                      const CouplingGains& gains, const OutputMap& map, const Tensor& y,
                      const Tensor& log_det) {
  pal::coupling::check_forward(active, passive, factors, map, y, log_det);
  const ProfileScope profile("coupling_forward", 2 * y.bytes() + factors.bytes());
  dispatch_subnet("coupling_forward", y.dtype(), factors.dtype(), [&](auto typed) {
    forward<decltype(typed)>(active, passive, factors, gains, map, y, log_det);
  });
}

void coupling_inverse_passive(const Tensor& y, const OutputMap& map, const Tensor& passive) {
  pal::coupling::check_inverse_passive(y, passive);
  const ProfileScope profile("coupling_inverse_passive",
                             pal::coupling::inverse_passive_bytes(y, map, passive));
  expect_stream("coupling_inverse_passive", y.dtype());
  const Layout layout(halves_of(y.size(0), y.rows() / y.size(0), y.channels() - passive.channels(),
                                passive.channels(), map.active_first),
                      map, {y}, {passive});
  const Geometry& geometry = layout.geometry;
  Job job = job_of(layout, map, y);
  job.passive = rows_of<float>(passive);
  dispatch_bool(is_staged(geometry, map), [&](auto staged) {
    dispatch_width(layout.width, [&](auto width) {
      launch_blocks(inverse_passive_kernel<width(), staged()>, geometry.tiles, layout,
                    staged() ? geometry.tile_values() : 0, job);
    });
  });
}

void coupling_inverse(const Tensor& y, const Tensor& factors, const CouplingGains& gains,
                      const OutputMap& map, const Tensor& active, const Tensor& log_det) {
  pal::coupling::check_inverse(y, factors, map, active, log_det);
  const ProfileScope profile("coupling_inverse",
                             pal::coupling::inverse_bytes(y, factors, map, active));
  dispatch_subnet("coupling_inverse", y.dtype(), factors.dtype(), [&](auto typed) {
    inverse<decltype(typed)>(y, factors, gains, map, active, log_det);
  });
}

}  // namespace pal::cuda
