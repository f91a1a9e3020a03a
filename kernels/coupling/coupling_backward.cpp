#include <vector>

#include "kernels/arrays/reduce.h"
#include "kernels/coupling/coupling_check.h"
#include "kernels/coupling/coupling_tile.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

using namespace coupling;
using namespace pal::coupling;

/// Sums over the pixels of a chunk, by channel of one half: a running sum for each value of a tile,
/// folded to one per channel at the end.
template <typename T>
class ChannelSums {
 public:
  explicit ChannelSums(int64_t pixels, int64_t channels)
      : pixels_(pixels), channels_(channels), sums_(static_cast<size_t>(pixels * channels), T{0}) {}

  /// The running sums [pixels, channels], to be added to.
  T* data() { return sums_.data(); }

  /// Overwrites to[channels] with the sum of each channel, the pixels added as a fixed tree, and
  /// starts again.
  void finish(double* to) {
    fold_rows(sums_.data(), pixels_, channels_);
    for (int64_t c = 0; c < channels_; ++c)
      to[c] = static_cast<double>(sums_[static_cast<size_t>(c)]);
    std::fill(sums_.begin(), sums_.end(), T{0});
  }

 private:
  int64_t pixels_;
  int64_t channels_;
  std::vector<T> sums_;
};

/// What one thread needs for a tile: packed operands and the chunk's sums.
template <typename T, typename F>
struct Scratch {
  Scratch(const Halves& h, const TileMap<T>& tile_map)
      : tile_factors(h),
        x(static_cast<size_t>(tile_map.tile_size())),
        g(x),
        grad_x(x),
        grad_s(x),
        grad_t(x),
        buffer(x),
        active_g(h.tile_pixels(), h.active),
        active_gv(h.tile_pixels(), h.active),
        passive_g(h.tile_pixels(), h.passive),
        passive_gv(h.tile_pixels(), h.passive) {}

  TileFactors<T, F> tile_factors;
  std::vector<T> x, g, grad_x, grad_s, grad_t, buffer;
  /// Sums by channel of grad_y at the channel's place in y (active_g, passive_g) and of that times
  /// v (active_gv, passive_gv): the gradients of act norm's offset and scale.
  ChannelSums<T> active_g, active_gv, passive_g, passive_gv;
};

/// Both backward passes. With kInverse, `active` is rebuilt from y; else the stored halves are read
/// and y is not.
template <typename T, typename F, bool kInverse>
class Backward {
 public:
  Backward(const Tensor& y, const Tensor& active, const Tensor& passive, const Tensor& grad_y,
           const Tensor& grad_log_det, const Tensor& factors, const CouplingGains& gains,
           const OutputMap& map, const CouplingGrads& grads)
      : y_(y),
        active_(active),
        passive_(passive),
        grad_y_(grad_y),
        grad_log_det_(grad_log_det),
        factors_(factors),
        gains_(gains),
        map_(map),
        grads_(grads),
        halves_(factors, grad_y.channels(), map),
        tile_map_(halves_, map),
        act_norm_(grads.scale.defined()),
        sums_(act_norm_ ? static_cast<size_t>(2 * halves_.chunks() * halves_.channels()) : 0),
        log_s_sums_(static_cast<size_t>(halves_.chunks()), 0.0) {}

  void run() {
    for_each_tile(halves_, [&] {
      return [&, scratch = Scratch<T, F>(halves_, tile_map_)](const Tile& tile) mutable {
        active_half(tile, scratch);
        if (halves_.passive > 0) passive_half(tile, scratch);
        if (tile.ends_chunk && act_norm_) finish_chunk(tile.chunk, scratch);
      };
    });
    if (grads_.log_s.defined()) {
      grads_.log_s.zero();
      add_sample_sums(log_s_sums_, halves_, grads_.log_s, 1.0);
    }
    if (act_norm_) finish_sums();
  }

 private:
  static T* pixel(const Tensor& t, const Tile& tile) {
    return t.data<T>() + tile.first * t.pitch();
  }

  void active_half(const Tile& tile, Scratch<T, F>& scratch) {
    scratch.tile_factors.load(factors_, tile);
    tile_map_.take_active(pixel(grad_y_, tile), grad_y_.pitch(), tile.count, scratch.buffer.data(),
                          scratch.g.data());
    if constexpr (kInverse)
      tile_map_.take_active(pixel(y_, tile), y_.pitch(), tile.count, scratch.buffer.data(),
                            scratch.x.data());
    else
      copy_rows(pixel(active_, tile), active_.pitch(), scratch.x.data(), halves_.active, tile.count,
                halves_.active);
    const int64_t count = tile.count * halves_.active;
    log_s_sums_[static_cast<size_t>(tile.chunk)] +=
        static_cast<double>(all_small(scratch.tile_factors.s, count, gains_.s_gain)
                                ? differentiate<true>(tile, count, scratch)
                                : differentiate<false>(tile, count, scratch));
    if constexpr (kInverse)
      copy_rows<T>(scratch.x.data(), halves_.active, pixel(active_, tile), active_.pitch(),
                   tile.count, halves_.active);
    copy_rows<T>(scratch.grad_x.data(), halves_.active, pixel(grads_.active, tile),
                 grads_.active.pitch(), tile.count, halves_.active);
    scratch.tile_factors.store(scratch.grad_s.data(), scratch.grad_t.data(), grads_.factors, tile);
  }

  /// The gradients of a tile's packed active values; the sum of those of log_s.
  template <bool kSmall>
  T differentiate(const Tile& tile, int64_t count, Scratch<T, F>& scratch) const {
    const T clamp = gains_.clamp;
    const T s_gain = gains_.s_gain;
    const T t_gain = gains_.t_gain;
    const T log_s_shift = shift_of<T>(map_, tile.sample);
    const T grad_log_det = static_cast<T>(grad_log_det_.data<double>()[tile.sample]);
    const T* s = scratch.tile_factors.s;
    const T* t = scratch.tile_factors.t;
    const T* g = scratch.g.data();
    const T* scale = tile_map_.active_scale.data();
    const T* offset = tile_map_.active_offset.data();
    T* x = scratch.x.data();
    T* grad_x = scratch.grad_x.data();
    T* grad_s = scratch.grad_s.data();
    T* grad_t = scratch.grad_t.data();
    T* sum_g = scratch.active_g.data();
    T* sum_gv = scratch.active_gv.data();
    T log_s_sum = 0;
#pragma omp simd reduction(+ : log_s_sum)
    for (int64_t i = 0; i < count; ++i) {
      const SoftClamp<T> soft = soft_clamp<kSmall>(s[i], clamp, s_gain);
      const T exp_log_s = fast_exp(soft.log_s - log_s_shift);
      const T shift = t_gain * t[i];
      if constexpr (kInverse)
        x[i] = scaled_affine_inverse(x[i], exp_log_s, shift, scale[i], offset[i]);
      sum_g[i] += g[i];
      sum_gv[i] += g[i] * affine(x[i], exp_log_s, shift);
      const AffineGrads<T> grad = affine_backward(g[i] * scale[i], grad_log_det, x[i], exp_log_s,
                                                  soft.tanh, clamp, s_gain, t_gain);
      log_s_sum += grad.log_s;
      grad_x[i] = grad.x;
      grad_s[i] = grad.s;
      grad_t[i] = grad.t;
    }
    return log_s_sum;
  }

  void passive_half(const Tile& tile, Scratch<T, F>& scratch) {
    const bool wanted = grads_.passive.defined();
    if (!wanted && !act_norm_) return;
    const int64_t values = tile.count * halves_.passive;
    T* g = scratch.g.data();
    tile_map_.take_passive(pixel(grad_y_, tile), grad_y_.pitch(), tile.count, scratch.buffer.data(),
                           g);
    const T* scale = tile_map_.passive_scale.data();
    if (act_norm_) {
      const T* v = passive_values(tile, scratch);
      T* sum_g = scratch.passive_g.data();
      T* sum_gv = scratch.passive_gv.data();
#pragma omp simd
      for (int64_t i = 0; i < values; ++i) {
        sum_g[i] += g[i];
        sum_gv[i] += g[i] * v[i];
      }
    }
    if (!wanted) return;
#pragma omp simd
    for (int64_t i = 0; i < values; ++i) g[i] *= scale[i];
    copy_rows<T>(g, halves_.passive, pixel(grads_.passive, tile), grads_.passive.pitch(),
                 tile.count, halves_.passive);
  }

  const T* passive_values(const Tile& tile, Scratch<T, F>& scratch) const {
    if constexpr (!kInverse)
      return packed_rows<T>(pixel(passive_, tile), passive_.pitch(), tile.count, halves_.passive,
                            scratch.x.data());
    T* v = scratch.x.data();
    tile_map_.take_passive(pixel(y_, tile), y_.pitch(), tile.count, scratch.buffer.data(), v);
    const T* scale = tile_map_.passive_scale.data();
    const T* offset = tile_map_.passive_offset.data();
#pragma omp simd
    for (int64_t i = 0; i < tile.count * halves_.passive; ++i) v[i] = (v[i] - offset[i]) / scale[i];
    return v;
  }

  void finish_chunk(int64_t chunk, Scratch<T, F>& scratch) {
    double* g = sums_.data() + 2 * chunk * halves_.channels();
    double* gv = g + halves_.channels();
    scratch.active_g.finish(g + halves_.active_at);
    scratch.active_gv.finish(gv + halves_.active_at);
    if (halves_.passive == 0) return;
    scratch.passive_g.finish(g + halves_.passive_at);
    scratch.passive_gv.finish(gv + halves_.passive_at);
  }

  void finish_sums() {
    const int64_t channels = halves_.channels();
    tree_sum(sums_.data(), halves_.chunks(), 2 * channels);
    for (int64_t c = 0; c < channels; ++c) {
      grads_.offset.template data<double>()[c] += sums_[static_cast<size_t>(c)];
      grads_.scale.template data<double>()[c] += sums_[static_cast<size_t>(channels + c)];
    }
  }

  const Tensor &y_, &active_, &passive_, &grad_y_, &grad_log_det_, &factors_;
  const Gains<T> gains_;
  const OutputMap& map_;
  const CouplingGrads& grads_;
  const Halves halves_;
  const TileMap<T> tile_map_;
  const bool act_norm_;
  /// [chunks][2][channels]: a chunk's gradients of act norm's offset and scale, in the order of v.
  std::vector<double> sums_;
  std::vector<double> log_s_sums_;
};

}  // namespace

void coupling_inverse_backward(const Tensor& y, const Tensor& grad_y, const Tensor& grad_log_det,
                               const Tensor& factors, const CouplingGains& gains,
                               const OutputMap& map, const Tensor& active,
                               const CouplingGrads& grads) {
  check_inverse_backward(y, grad_y, grad_log_det, factors, map, active, grads);
  {
    const ProfileScope profile("coupling_inverse_backward",
                               3 * y.bytes() + active.bytes() + 2 * factors.bytes());
    dispatch_pair("coupling_inverse_backward", y.dtype(), factors.dtype(), [&](auto t, auto tf) {
      Backward<decltype(t), decltype(tf), true>(y, active, {}, grad_y, grad_log_det, factors, gains,
                                                map, grads)
          .run();
    });
  }
  if (grads.factor_sums.defined()) channel_sums(grads.factors, grads.factor_sums);
}

void coupling_backward(const Tensor& active, const Tensor& passive, const Tensor& grad_y,
                       const Tensor& grad_log_det, const Tensor& factors,
                       const CouplingGains& gains, const OutputMap& map,
                       const CouplingGrads& grads) {
  check_backward(active, passive, grad_y, grad_log_det, factors, map, grads);
  {
    const ProfileScope profile("coupling_backward", 3 * grad_y.bytes() + 2 * factors.bytes());
    dispatch_pair("coupling_backward", grad_y.dtype(), factors.dtype(), [&](auto t, auto tf) {
      Backward<decltype(t), decltype(tf), false>({}, active, passive, grad_y, grad_log_det, factors,
                                                 gains, map, grads)
          .run();
    });
  }
  if (grads.factor_sums.defined()) channel_sums(grads.factors, grads.factor_sums);
}

}  // namespace pal::cpu
