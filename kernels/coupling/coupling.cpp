#include "kernels/coupling/coupling.h"

#include <vector>

#include "kernels/arrays/elementwise.h"
#include "kernels/coupling/coupling_check.h"
#include "kernels/coupling/coupling_tile.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

using namespace coupling;
using namespace pal::coupling;

/// v = (x exp(log_s) + t_gain t) scale + offset for the active values of a tile, or with kInverse x from v,
/// which `to` may be; the sum of log_s.
template <bool kInverse, bool kSmall, typename T>
T couple(int64_t count, const T* from, const T* s, const T* t, const Gains<T>& gains, T shift,
         const T* scale, const T* offset, T* to) {
  const T clamp = gains.clamp;
  const T s_gain = gains.s_gain;
  const T t_gain = gains.t_gain;
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) {
    const T log_s = soft_clamp<kSmall>(s[i], clamp, s_gain).log_s - shift;
    if constexpr (kInverse)
      to[i] = scaled_affine_inverse(from[i], fast_exp(log_s), t_gain * t[i], scale[i], offset[i]);
    else
      to[i] = affine(from[i], fast_exp(log_s), t_gain * t[i]) * scale[i] + offset[i];
    sum += log_s;
  }
  return sum;
}

template <typename T, typename F>
void forward(const Tensor& active, const Tensor& passive, const Tensor& factors,
             const CouplingGains& gains, const OutputMap& map, const Tensor& y,
             const Tensor& log_det) {
  const Halves h(factors, y.channels(), map);
  const TileMap<T> tile_map(h, map);
  const Gains<T> typed(gains);
  std::vector<double> log_dets(static_cast<size_t>(h.chunks()), 0.0);
  for_each_tile(h, [&] {
    const auto tile_size = static_cast<size_t>(tile_map.tile_size());
    return [&, tile_factors = TileFactors<T, F>(h), v_tile = std::vector<T>(tile_size),
            x_tile = std::vector<T>(tile_size),
            buffer = std::vector<T>(tile_size)](const Tile& tile) mutable {
      tile_factors.load(factors, tile);
      const T* s = tile_factors.s;
      const T* t = tile_factors.t;
      const T shift = shift_of<T>(map, tile.sample);
      const T* x = packed_rows(active.data<T>() + tile.first * active.pitch(), active.pitch(),
                               tile.count, h.active, x_tile.data());
      const T* scale = tile_map.active_scale.data();
      const T* offset = tile_map.active_offset.data();
      T* v = v_tile.data();
      const int64_t count = tile.count * h.active;
      const auto run =
          all_small(s, count, typed.s_gain) ? couple<false, true, T> : couple<false, false, T>;
      log_dets[static_cast<size_t>(tile.chunk)] +=
          static_cast<double>(run(count, x, s, t, typed, shift, scale, offset, v));
      if (h.passive > 0) {
        x = packed_rows(passive.data<T>() + tile.first * passive.pitch(), passive.pitch(),
                        tile.count, h.passive, x_tile.data());
        scale = tile_map.passive_scale.data();
        offset = tile_map.passive_offset.data();
        v = tile_map.passive_part(v_tile.data());
#pragma omp simd
        for (int64_t i = 0; i < tile.count * h.passive; ++i) v[i] = x[i] * scale[i] + offset[i];
      }
      tile_map.put(v_tile.data(), tile.count, buffer.data(), y.data<T>() + tile.first * y.pitch(),
                   y.pitch());
    };
  });
  add_sample_sums(log_dets, h, log_det, 1.0);
  if (map.log_scale_sum.defined())
    add_scalar(log_det, static_cast<double>(h.pixels), map.log_scale_sum);
}

template <typename T, typename F>
void inverse(const Tensor& y, const Tensor& factors, const CouplingGains& gains,
             const OutputMap& map, const Tensor& active, const Tensor& log_det) {
  const Halves h(factors, y.channels(), map);
  const TileMap<T> tile_map(h, map);
  const Gains<T> typed(gains);
  std::vector<double> log_dets(static_cast<size_t>(h.chunks()), 0.0);
  for_each_tile(h, [&] {
    const auto tile_size = static_cast<size_t>(tile_map.tile_size());
    return [&, tile_factors = TileFactors<T, F>(h), x_tile = std::vector<T>(tile_size),
            buffer = std::vector<T>(tile_size)](const Tile& tile) mutable {
      tile_factors.load(factors, tile);
      tile_map.take_active(y.data<T>() + tile.first * y.pitch(), y.pitch(), tile.count,
                           buffer.data(), x_tile.data());
      const T* s = tile_factors.s;
      const T* t = tile_factors.t;
      const T shift = shift_of<T>(map, tile.sample);
      const T* scale = tile_map.active_scale.data();
      const T* offset = tile_map.active_offset.data();
      T* x = x_tile.data();
      const int64_t count = tile.count * h.active;
      const auto run =
          all_small(s, count, typed.s_gain) ? couple<true, true, T> : couple<true, false, T>;
      log_dets[static_cast<size_t>(tile.chunk)] +=
          static_cast<double>(run(count, x, s, t, typed, shift, scale, offset, x));
      copy_rows(x_tile.data(), h.active, active.data<T>() + tile.first * active.pitch(),
                active.pitch(), tile.count, h.active);
    };
  });
  if (log_det.defined()) add_sample_sums(log_dets, h, log_det, -1.0);
}

template <typename T>
void inverse_passive(const Tensor& y, const OutputMap& map, const Tensor& passive) {
  // The geometry of a coupling whose active half is what the passive one leaves of y.
  const int64_t channels = y.channels();
  Halves h;
  h.batch = y.size(0);
  h.pixels = y.rows() / y.size(0);
  h.passive = passive.channels();
  h.active = channels - h.passive;
  h.active_at = map.active_first ? 0 : h.passive;
  h.passive_at = map.active_first ? h.active : 0;
  const TileMap<T> tile_map(h, map);
  for_each_tile(h, [&] {
    const auto tile_size = static_cast<size_t>(tile_map.tile_size());
    return [&, x_tile = std::vector<T>(tile_size),
            buffer = std::vector<T>(tile_size)](const Tile& tile) mutable {
      tile_map.take_passive(y.data<T>() + tile.first * y.pitch(), y.pitch(), tile.count,
                            buffer.data(), x_tile.data());
      const T* scale = tile_map.passive_scale.data();
      const T* offset = tile_map.passive_offset.data();
      T* x = x_tile.data();
#pragma omp simd
      for (int64_t i = 0; i < tile.count * h.passive; ++i) x[i] = (x[i] - offset[i]) / scale[i];
      copy_rows(x_tile.data(), h.passive, passive.data<T>() + tile.first * passive.pitch(),
                passive.pitch(), tile.count, h.passive);
    };
  });
}

template <typename T, typename F>
void mean_log_s(const Tensor& factors, const CouplingGains& gains, const Tensor& mean) {
  const Halves h(factors, factors.channels() / 2, {});
  const T clamp = static_cast<T>(gains.clamp);
  const T s_gain = static_cast<T>(gains.s_gain);
  std::vector<double> sums(static_cast<size_t>(h.chunks()), 0.0);
  for_each_tile(h, [&] {
    return [&, tile_factors = TileFactors<T, F>(h)](const Tile& tile) mutable {
      tile_factors.load(factors, tile);
      const T* s = tile_factors.s;
      T sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t i = 0; i < tile.count * h.active; ++i)
        sum += soft_clamp(s[i], clamp, s_gain).log_s;
      sums[static_cast<size_t>(tile.chunk)] += static_cast<double>(sum);
    };
  });
  mean.zero();
  add_sample_sums(sums, h, mean, 1.0 / static_cast<double>(h.pixels * h.active));
}

template <typename T, typename F>
void mean_log_s_backward(const Tensor& factors, const CouplingGains& gains,
                         const Tensor& grad_log_s, const Tensor& grad_factors) {
  const int64_t half = factors.channels() / 2;
  const int64_t pixels = factors.rows() / factors.size(0);
  parallel_for(factors.rows(), row_grain(half), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T mean = static_cast<T>(grad_log_s.data<double>()[row / pixels] /
                                    static_cast<double>(pixels * half));
      const F* s = factors.data<F>() + row * factors.pitch();
      F* grad = grad_factors.data<F>() + row * grad_factors.pitch();
      for (int64_t c = 0; c < half; ++c) {
        const T tanh = fast_tanh(static_cast<T>(gains.s_gain) * static_cast<T>(Compute<F>(s[c])));
        const T slope =
            soft_clamp_slope(tanh, static_cast<T>(gains.clamp), static_cast<T>(gains.s_gain));
        grad[c] = static_cast<F>(
            static_cast<Compute<F>>(static_cast<T>(Compute<F>(grad[c])) - mean * slope));
      }
    }
  });
}

}  // namespace

void coupling_mean_log_s(const Tensor& factors, const CouplingGains& gains, const Tensor& mean) {
  check_mean_log_s(factors, mean);
  const ProfileScope profile("coupling_mean_log_s", factors.bytes() / 2);
  dispatch_pair(
      "coupling_mean_log_s", stream_of(factors.dtype()), factors.dtype(),
      [&](auto t, auto tf) { mean_log_s<decltype(t), decltype(tf)>(factors, gains, mean); });
}

void coupling_mean_log_s_backward(const Tensor& factors, const CouplingGains& gains,
                                  const Tensor& grad_log_s, const Tensor& grad_factors) {
  check_mean_log_s_backward(factors, grad_log_s, grad_factors);
  const ProfileScope profile("coupling_mean_log_s_backward", 3 * factors.bytes() / 2);
  dispatch_pair("coupling_mean_log_s_backward", stream_of(factors.dtype()), factors.dtype(),
                [&](auto t, auto tf) {
                  mean_log_s_backward<decltype(t), decltype(tf)>(factors, gains, grad_log_s,
                                                                 grad_factors);
                });
}

void coupling_forward(const Tensor& active, const Tensor& passive, const Tensor& factors,
                      const CouplingGains& gains, const OutputMap& map, const Tensor& y,
                      const Tensor& log_det) {
  check_forward(active, passive, factors, map, y, log_det);
  const ProfileScope profile("coupling_forward", 2 * y.bytes() + factors.bytes());
  dispatch_pair("coupling_forward", y.dtype(), factors.dtype(), [&](auto t, auto tf) {
    forward<decltype(t), decltype(tf)>(active, passive, factors, gains, map, y, log_det);
  });
}

void coupling_inverse_passive(const Tensor& y, const OutputMap& map, const Tensor& passive) {
  check_inverse_passive(y, passive);
  const ProfileScope profile("coupling_inverse_passive", inverse_passive_bytes(y, map, passive));
  dispatch_real("coupling_inverse_passive", y.dtype(),
                [&](auto typed) { inverse_passive<decltype(typed)>(y, map, passive); });
}

void coupling_inverse(const Tensor& y, const Tensor& factors, const CouplingGains& gains,
                      const OutputMap& map, const Tensor& active, const Tensor& log_det) {
  check_inverse(y, factors, map, active, log_det);
  const ProfileScope profile("coupling_inverse", inverse_bytes(y, factors, map, active));
  dispatch_pair("coupling_inverse", y.dtype(), factors.dtype(), [&](auto t, auto tf) {
    inverse<decltype(t), decltype(tf)>(y, factors, gains, map, active, log_det);
  });
}

}  // namespace pal::cpu
