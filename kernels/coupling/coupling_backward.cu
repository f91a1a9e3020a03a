#include <algorithm>

#include "kernels/coupling/coupling_channel_sums.cuh"
#include "kernels/coupling/coupling_launch.cuh"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

using namespace coupling;

/// Operands of both backward passes. With kInverse, `active` is written from y; else the halves are
/// read and y is not.
struct Job {
  Geometry geometry;
  MapPointers map;
  Gains gains;
  Rows<const float> y;
  Rows<const float> grad_y;
  Rows<float> active;
  Rows<const float> passive;
  Rows<float> grad_active;
  Rows<float> grad_passive;  ///< null: not wanted
  const double* grad_log_det = nullptr;
  double* log_partial = nullptr;  ///< one sum of grad log_s per warp of each tile; null: not wanted
  /// f32 [groups, 2 channels + 2 active]: sums of grad v and of grad v * v before the act norm, of
  /// the gradients of s and of t; null: none are wanted.
  float* channel_partial = nullptr;
  bool act_norm = false;     ///< whether those of grad v and grad v * v are
  bool factor_sums = false;  ///< whether those of the factors are
  /// The threads' running sums of each group, if they do not fit into shared memory: those of the
  /// halves, and those of the gradients of s.
  float* running = nullptr;
  float* factor_running = nullptr;
  int groups = 0;
  int tiles_per_group = 1;
};

/// The factors and where their gradient goes.
template <typename F>
struct Subnet {
  Rows<const F> factors;
  Rows<F> grad;
};

/// The active half of a tile: writes its gradients, those of the factors and, with kInverse, the
/// rebuilt half. Returns the thread's sum of the gradients of log_s.
template <typename F, int kWidth, bool kInverse>
__device__ inline double active_half(const Job& job, const Subnet<F>& subnet, const Tile& tile,
                                     bool permuted, const TileRows<const float>& y,
                                     const TileRows<const float>& grad_y, const ChannelSums& sums,
                                     const ChannelSums& factor_sums) {
  const Geometry& g = job.geometry;
  const Gains& gains = job.gains;
  const TileRows<float> active = job.active.of(tile);
  const TileRows<float> grad_active = job.grad_active.of(tile);
  const TileRows<const F> factors = subnet.factors.of(tile);
  const TileRows<F> grad_factors = subnet.grad.of(tile);
  const float shift = job.map.shift_of(tile.sample);
  const auto grad_log_det = static_cast<float>(job.grad_log_det[tile.sample]);
  double log_s_sum = 0.0;
  const Share share(g.active_split);
  share.for_each([&](int item) {
    const int c = item * kWidth;
    const Channels<kWidth> channels(job.map, g.active_at + c);
    const auto inverse_scale = reciprocals(channels.scale);
    Vec<float, kWidth> sum_g = {};
    Vec<float, kWidth> sum_gv = {};
    Vec<float, kWidth> sum_s = {};
    float item_sum = 0.0F;
    for (int p = share.lane; p < tile.count; p += share.split.lanes) {
      auto s = load_wide<kWidth>(factors.row(p) + c);
      auto t = load_wide<kWidth>(factors.row(p) + g.active + c);
      auto grad = take<kWidth>(grad_y.row(p), permuted, g.active_at + c, channels.place);
      Vec<float, kWidth> x;
      if constexpr (kInverse)
        x = take<kWidth>(y.row(p), permuted, g.active_at + c, channels.place);
      else
        x = load_vector<kWidth>(active.row(p) + c);
#pragma unroll
      for (int k = 0; k < kWidth; ++k) {
        const SoftClamp<float> soft = gpu_soft_clamp(s.at[k], gains.clamp, gains.s_gain);
        const float exp_log_s = gpu_math::exp(soft.log_s - shift);
        const float moved = gains.t_gain * t.at[k];
        if constexpr (kInverse)
          x.at[k] = scaled_affine_inverse_by(x.at[k], gpu_math::reciprocal(exp_log_s), moved,
                                             inverse_scale.at[k], channels.offset.at[k]);
        sum_g.at[k] += grad.at[k];
        sum_gv.at[k] += grad.at[k] * affine(x.at[k], exp_log_s, moved);
        const AffineGrads<float> grads =
            affine_backward(grad.at[k] * channels.scale.at[k], grad_log_det, x.at[k], exp_log_s,
                            soft.tanh, gains.clamp, gains.s_gain, gains.t_gain);
        item_sum += grads.log_s;
        sum_s.at[k] += grads.s;
        grad.at[k] = grads.x;
        s.at[k] = grads.s;
        t.at[k] = grads.t;
      }
      if constexpr (kInverse) store_vector<kWidth>(active.row(p) + c, x);
      store_vector<kWidth>(grad_active.row(p) + c, grad);
      store_narrow<kWidth>(grad_factors.row(p) + c, s);
      store_narrow<kWidth>(grad_factors.row(p) + g.active + c, t);
    }
    log_s_sum += static_cast<double>(item_sum);
    sums.add(share, 0, g.active, c, sum_g);
    sums.add(share, 1, g.active, c, sum_gv);
    factor_sums.add(share, 0, g.active, c, sum_s);
  });
  return log_s_sum;
}

/// The passive half of a tile: writes its gradient and adds to the sums, as far as wanted.
template <int kWidth, bool kInverse>
__device__ inline void passive_half(const Job& job, const Tile& tile, bool permuted,
                                    const TileRows<const float>& y,
                                    const TileRows<const float>& grad_y, const ChannelSums& sums) {
  const Geometry& g = job.geometry;
  const TileRows<const float> passive = job.passive.of(tile);
  const TileRows<float> grad_passive = job.grad_passive.of(tile);
  const Share share(g.passive_split);
  share.for_each([&](int item) {
    const int c = item * kWidth;
    const Channels<kWidth> channels(job.map, g.passive_at + c);
    const auto inverse_scale = reciprocals(channels.scale);
    Vec<float, kWidth> sum_g = {};
    Vec<float, kWidth> sum_gv = {};
    for (int p = share.lane; p < tile.count; p += share.split.lanes) {
      auto grad = take<kWidth>(grad_y.row(p), permuted, g.passive_at + c, channels.place);
      if (sums.wanted()) {
        Vec<float, kWidth> v;
        if constexpr (kInverse)
          v = take<kWidth>(y.row(p), permuted, g.passive_at + c, channels.place);
        else
          v = load_vector<kWidth>(passive.row(p) + c);
#pragma unroll
        for (int k = 0; k < kWidth; ++k) {
          if constexpr (kInverse)
            v.at[k] = affine_inverse_by(v.at[k], inverse_scale.at[k], channels.offset.at[k]);
          sum_g.at[k] += grad.at[k];
          sum_gv.at[k] += grad.at[k] * v.at[k];
        }
      }
      if (grad_passive.at == nullptr) continue;
#pragma unroll
      for (int k = 0; k < kWidth; ++k) grad.at[k] *= channels.scale.at[k];
      store_vector<kWidth>(grad_passive.row(p) + c, grad);
    }
    sums.add(share, 0, g.passive, c, sum_g);
    sums.add(share, 1, g.passive, c, sum_gv);
  });
}

/// Writes a group's sums from the running ones. All threads of the block must call it.
__device__ inline void put_group_sums(const Job& job, const SumLayout& layout, int group,
                                      const float* running, const float* passive_running,
                                      const float* factor_running) {
  const Geometry& g = job.geometry;
  const int channels = g.channels();
  float* to = job.channel_partial + static_cast<int64_t>(group) * 2 * (channels + g.active);
  float* to_factors = to + 2 * channels;
  fold(running, 2, layout.active_lanes, g.active, [&](int plane, int c, double sum) {
    to[plane * channels + g.active_at + c] = static_cast<float>(sum);
    if (!job.factor_sums || plane != 0) return;
    const float scale = job.map.scale == nullptr ? 1.0F : job.map.scale[g.active_at + c];
    to_factors[g.active + c] = job.gains.t_gain * scale * static_cast<float>(sum);
  });
  if (job.act_norm)
    fold(passive_running, 2, layout.passive_lanes, g.passive, [&](int plane, int c, double sum) {
      to[plane * channels + g.passive_at + c] = static_cast<float>(sum);
    });
  if (job.factor_sums)
    fold(factor_running, 1, layout.active_lanes, g.active,
         [&](int, int c, double sum) { to_factors[c] = static_cast<float>(sum); });
}

/// Blocks that are to share a multiprocessor. The inverse takes a few registers more in an A100's
/// code: with one block less none is spilled.
template <int kWidth, bool kInverse>
constexpr int blocks_wanted() {
  constexpr int kBlocks = kWidth == 4 ? 3 : 4;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
  return kInverse ? kBlocks - 1 : kBlocks;
#else
  return kBlocks;
#endif
}

template <typename F, int kWidth, bool kInverse, bool kStaged>
__global__ __launch_bounds__(kThreads, (blocks_wanted<kWidth, kInverse>())) void backward_kernel(
    const Job job, const Subnet<F> subnet) {
  const Geometry& g = job.geometry;
  const SumLayout layout(g);
  const bool sums_in_shared = job.channel_partial != nullptr && job.running == nullptr;
  const bool factors_in_shared = job.factor_sums && job.factor_running == nullptr;
  // Gradient of y, y, running sums of the halves, of s.
  float* staged_grad = shared_floats(kStaged || sums_in_shared || factors_in_shared);
  float* staged_y = staged_grad + (kStaged ? g.tile * g.channels() : 0);
  float* in_shared = staged_y + (kStaged && kInverse ? g.tile * g.channels() : 0);
  const bool permuted = kStaged || job.map.index != nullptr;
  const bool passive_wanted = job.grad_passive.at != nullptr || job.act_norm;
  for (int group = static_cast<int>(blockIdx.x); group < job.groups;
       group += static_cast<int>(gridDim.x)) {
    const int begin = group * job.tiles_per_group;
    const int left = g.tiles - begin;
    const int count = left < job.tiles_per_group ? left : job.tiles_per_group;
    float* running = job.channel_partial == nullptr ? nullptr : in_shared;
    if constexpr (!kStaged)
      if (job.running != nullptr)
        running = job.running + static_cast<int64_t>(group) * layout.floats();
    float* passive_running = job.act_norm ? running + layout.active_floats() : nullptr;
    float* factor_running = nullptr;
    if (factors_in_shared)
      factor_running = in_shared + (sums_in_shared ? layout.floats() : 0);
    else if (job.factor_sums)
      factor_running = job.factor_running + static_cast<int64_t>(group) * layout.factor_floats();
    for (int i = 0; i < count; ++i) {
      const Tile tile = tile_at(g, begin + i);
      const TileRows<const float> grad_y = stage<kStaged>(job.grad_y, tile, g, staged_grad);
      TileRows<const float> y = {};
      if constexpr (kInverse) y = stage<kStaged>(job.y, tile, g, staged_y);
      if constexpr (kStaged) __syncthreads();
      const double log_s_sum = active_half<F, kWidth, kInverse>(
          job, subnet, tile, permuted, y, grad_y, ChannelSums(running, i == 0),
          ChannelSums(factor_running, i == 0));
      if (passive_wanted)
        passive_half<kWidth, kInverse>(job, tile, permuted, y, grad_y,
                                       ChannelSums(passive_running, i == 0));
      if (job.log_partial != nullptr) put_warp_sum(log_s_sum, begin + i, job.log_partial);
      if constexpr (kStaged) __syncthreads();
    }
    if (job.channel_partial == nullptr) continue;
    __syncthreads();
    put_group_sums(job, layout, group, running, passive_running, factor_running);
    __syncthreads();
  }
}

/// Tiles whose sums of channels are added up before they are written: few enough to fill the GPU
/// with groups, enough that the sums are small beside the images.
int tiles_per_group(const Geometry& geometry) {
  constexpr int kEnoughGroups = 512;
  constexpr int kEnoughPixels = 8;
  const int tiles = geometry.tiles;
  const int wanted = (kEnoughPixels + geometry.tile - 1) / geometry.tile;
  return std::max({1, std::min(wanted, tiles / kEnoughGroups), tiles / (2 * kEnoughGroups)});
}

template <typename F, bool kInverse>
void backward(const Tensor& y, const Tensor& active, const Tensor& passive, const Tensor& grad_y,
              const Tensor& grad_log_det, const Tensor& factors, const CouplingGains& gains,
              const OutputMap& map, const CouplingGrads& grads) {
  const Layout layout(halves_of(factors, grad_y.channels(), map.active_first), map, {y, grad_y},
                      {active, passive, grads.active, grads.passive, s_of(factors), t_of(factors),
                       s_of(grads.factors), t_of(grads.factors)});
  const Geometry& geometry = layout.geometry;
  Job job;
  job.geometry = geometry;
  job.map = pointers_of(map);
  job.gains = gains_of(gains);
  if (kInverse) job.y = rows_of<const float>(y);
  job.grad_y = rows_of<const float>(grad_y);
  job.active = rows_of<float>(active);
  if (!kInverse && geometry.passive > 0) job.passive = rows_of<const float>(passive);
  job.grad_active = rows_of<float>(grads.active);
  if (grads.passive.defined()) job.grad_passive = rows_of<float>(grads.passive);
  job.grad_log_det = grad_log_det.data<double>();
  Tensor log_partial;
  if (grads.log_s.defined()) {
    log_partial = warp_sums(layout, factors.device());
    job.log_partial = log_partial.data<double>();
  }
  job.act_norm = grads.scale.defined();
  job.factor_sums = grads.factor_sums.defined();
  const bool any_sums = job.act_norm || job.factor_sums;
  if (any_sums) job.tiles_per_group = tiles_per_group(geometry);
  job.groups = (geometry.tiles + job.tiles_per_group - 1) / job.tiles_per_group;

  const SumLayout sums(geometry);
  const int64_t sum_floats = any_sums ? sums.floats() : 0;
  const int64_t staged_floats = (kInverse ? 2 : 1) * geometry.tile_values() + sum_floats;
  const bool staged = map.index.defined() && staged_floats <= kSharedFloats;
  const bool sums_fit = sum_floats <= kSharedFloats;
  int64_t shared_floats = staged ? staged_floats : sums_fit ? sum_floats : 0;
  const auto group_memory = [&](int64_t floats) {
    return Tensor::empty({job.groups, floats}, DType::f32, Tag::workspace, factors.device());
  };
  Tensor channel_partial;
  Tensor running;
  Tensor factor_running;
  if (any_sums) {
    channel_partial = group_memory(2 * (geometry.channels() + geometry.active));
    job.channel_partial = channel_partial.data<float>();
    if (!sums_fit) {
      running = group_memory(sum_floats);
      job.running = running.data<float>();
    }
  }
  if (job.factor_sums && shared_floats + sums.factor_floats() <= kSharedFloats) {
    shared_floats += sums.factor_floats();
  } else if (job.factor_sums) {
    // A few percent of what the tiles move; it stays in the cache.
    factor_running = group_memory(sums.factor_floats());
    job.factor_running = factor_running.data<float>();
  }
  const Subnet<F> subnet = {rows_of<const F>(factors), rows_of<F>(grads.factors)};
  dispatch_bool(staged, [&](auto is_staged) {
    dispatch_width(layout.width, [&](auto width) {
      launch_blocks(backward_kernel<F, width(), kInverse, is_staged()>, job.groups, layout,
                    shared_floats, job, subnet);
    });
  });
  if (grads.log_s.defined()) finish_sample_sums(log_partial, geometry, 1.0, false, grads.log_s);
  if (any_sums) finish_channel_sums(channel_partial, geometry.channels(), grads);
}

}  // namespace

void coupling_inverse_backward(const Tensor& y, const Tensor& grad_y, const Tensor& grad_log_det,
                               const Tensor& factors, const CouplingGains& gains,
                               const OutputMap& map, const Tensor& active,
                               const CouplingGrads& grads) {
  pal::coupling::check_inverse_backward(y, grad_y, grad_log_det, factors, map, active, grads);
  const ProfileScope profile("coupling_inverse_backward",
                             3 * y.bytes() + active.bytes() + 2 * factors.bytes());
  dispatch_subnet("coupling_inverse_backward", y.dtype(), factors.dtype(), [&](auto typed) {
    backward<decltype(typed), true>(y, active, {}, grad_y, grad_log_det, factors, gains, map,
                                    grads);
  });
}

void coupling_backward(const Tensor& active, const Tensor& passive, const Tensor& grad_y,
                       const Tensor& grad_log_det, const Tensor& factors,
                       const CouplingGains& gains, const OutputMap& map,
                       const CouplingGrads& grads) {
  pal::coupling::check_backward(active, passive, grad_y, grad_log_det, factors, map, grads);
  const ProfileScope profile("coupling_backward", 3 * grad_y.bytes() + 2 * factors.bytes());
  dispatch_subnet("coupling_backward", grad_y.dtype(), factors.dtype(), [&](auto typed) {
    backward<decltype(typed), false>({}, active, passive, grad_y, grad_log_det, factors, gains, map,
                                     grads);
  });
}

}  // namespace pal::cuda
