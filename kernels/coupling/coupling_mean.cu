// The mean of log_s of a sample and its gradient: what makes a coupling volume preserving.
#include "kernels/coupling/coupling_launch.cuh"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

using namespace coupling;

template <typename F, int kWidth>
__global__ __launch_bounds__(kThreads) void mean_log_s_kernel(const Geometry g, const Gains gains,
                                                              const Rows<const F> factors,
                                                              double* partial) {
  const Share share(g.active_split);
  for (int index = static_cast<int>(blockIdx.x); index < g.tiles;
       index += static_cast<int>(gridDim.x)) {
    const Tile tile = tile_at(g, index);
    const TileRows<const F> rows = factors.of(tile);
    double sum = 0.0;
    share.for_each([&](int item) {
      float item_sum = 0.0F;
#pragma unroll 4
      for (int p = share.lane; p < tile.count; p += share.split.lanes) {
        const auto s = load_wide<kWidth>(rows.row(p) + item * kWidth);
#pragma unroll
        for (int k = 0; k < kWidth; ++k)
          item_sum += gpu_soft_clamp(s.at[k], gains.clamp, gains.s_gain).log_s;
      }
      sum += static_cast<double>(item_sum);
    });
    put_warp_sum(sum, index, partial);
  }
}

template <typename F, int kWidth>
__global__ __launch_bounds__(kThreads) void mean_log_s_backward_kernel(const Geometry g,
                                                                       const Gains gains,
                                                                       const Rows<const F> factors,
                                                                       const double* grad_log_s,
                                                                       const Rows<F> grad_factors) {
  const double values = static_cast<double>(g.pixels * g.active);
  const Share share(g.active_split);
  for (int index = static_cast<int>(blockIdx.x); index < g.tiles;
       index += static_cast<int>(gridDim.x)) {
    const Tile tile = tile_at(g, index);
    const TileRows<const F> rows = factors.of(tile);
    const TileRows<F> grads = grad_factors.of(tile);
    const float mean = static_cast<float>(grad_log_s[tile.sample] / values);
    share.for_each([&](int item) {
#pragma unroll 2
      for (int p = share.lane; p < tile.count; p += share.split.lanes) {
        const auto s = load_wide<kWidth>(rows.row(p) + item * kWidth);
        F* to = grads.row(p) + item * kWidth;
        auto grad = load_wide<kWidth>(to);
#pragma unroll
        for (int k = 0; k < kWidth; ++k) {
          const float tanh = gpu_soft_clamp(s.at[k], gains.clamp, gains.s_gain).tanh;
          grad.at[k] -= mean * soft_clamp_slope(tanh, gains.clamp, gains.s_gain);
        }
        store_narrow<kWidth>(to, grad);
      }
    });
  }
}

}  // namespace

void coupling_mean_log_s(const Tensor& factors, const CouplingGains& gains, const Tensor& mean) {
  pal::coupling::check_mean_log_s(factors, mean);
  const ProfileScope profile("coupling_mean_log_s", factors.bytes() / 2);
  const Layout layout(halves_of(factors, factors.channels() / 2, true), {}, {}, {s_of(factors)});
  const Geometry& geometry = layout.geometry;
  const Tensor partial = warp_sums(layout, factors.device());
  dispatch_subnet("coupling_mean_log_s", pal::coupling::stream_of(factors.dtype()), factors.dtype(),
                  [&](auto typed) {
                    using F = decltype(typed);
                    dispatch_width(layout.width, [&](auto width) {
                      launch_blocks(mean_log_s_kernel<F, width()>, geometry.tiles, layout, 0,
                                    geometry, gains_of(gains), rows_of<const F>(factors),
                                    partial.data<double>());
                    });
                  });
  const auto values = static_cast<double>(geometry.pixels * geometry.active);
  finish_sample_sums(partial, geometry, 1.0 / values, false, mean);
}

void coupling_mean_log_s_backward(const Tensor& factors, const CouplingGains& gains,
                                  const Tensor& grad_log_s, const Tensor& grad_factors) {
  pal::coupling::check_mean_log_s_backward(factors, grad_log_s, grad_factors);
  const ProfileScope profile("coupling_mean_log_s_backward", 3 * factors.bytes() / 2);
  const Layout layout(halves_of(factors, factors.channels() / 2, true), {}, {},
                      {s_of(factors), s_of(grad_factors)});
  const Geometry& geometry = layout.geometry;
  dispatch_subnet("coupling_mean_log_s_backward", pal::coupling::stream_of(factors.dtype()),
                  factors.dtype(), [&](auto typed) {
                    using F = decltype(typed);
                    dispatch_width(layout.width, [&](auto width) {
                      launch_blocks(mean_log_s_backward_kernel<F, width()>, geometry.tiles, layout,
                                    0, geometry, gains_of(gains), rows_of<const F>(factors),
                                    grad_log_s.data<double>(), rows_of<F>(grad_factors));
                    });
                  });
}

}  // namespace pal::cuda
