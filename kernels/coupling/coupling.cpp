#include "kernels/coupling/coupling.h"

#include <vector>

#include "kernels/coupling/coupling_check.h"
#include "kernels/coupling/coupling_tile.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

using namespace coupling;
using namespace pal::coupling;

template <typename T, typename A>
void forward(const Tensor& active, const Tensor& passive, const Tensor& a,
             const CouplingGains& gains, const CouplingOutput& output, const Tensor& y,
             const Tensor& log_det) {
  const Halves h(a, y.channels(), output);
  const TileMix<T> mix(h, output);
  const T clamp = static_cast<T>(gains.clamp);
  const T s_gain = static_cast<T>(gains.s_gain);
  const T t_gain = static_cast<T>(gains.t_gain);
  std::vector<double> log_dets(static_cast<size_t>(h.chunks()), 0.0);
  for_each_tile(h, [&] {
    const auto tile_size = static_cast<size_t>(mix.tile_size());
    return [&, coefficients = Coefficients<T, A>(h), v_tile = std::vector<T>(tile_size),
            x_tile = std::vector<T>(tile_size),
            buffer = std::vector<T>(tile_size)](const Tile& tile) mutable {
      coefficients.load(a, tile);
      const T* s = coefficients.s;
      const T* t = coefficients.t;
      const T shift = shift_of<T>(output, tile.sample);
      const T* x = packed_rows(active.data<T>() + tile.first * active.pitch(), active.pitch(),
                               tile.count, h.active, x_tile.data());
      const T* scale = mix.active_scale.data();
      const T* offset = mix.active_offset.data();
      T* v = v_tile.data();
      T log_det_sum = 0;
#pragma omp simd reduction(+ : log_det_sum)
      for (int64_t i = 0; i < tile.count * h.active; ++i) {
        const T log_s = soft_clamp(s[i], clamp, s_gain).log_s - shift;
        v[i] = affine(x[i], fast_exp(log_s), t_gain * t[i]) * scale[i] + offset[i];
        log_det_sum += log_s;
      }
      log_dets[static_cast<size_t>(tile.chunk)] += static_cast<double>(log_det_sum);
      if (h.passive > 0) {
        x = packed_rows(passive.data<T>() + tile.first * passive.pitch(), passive.pitch(),
                        tile.count, h.passive, x_tile.data());
        scale = mix.passive_scale.data();
        offset = mix.passive_offset.data();
        v = mix.passive_part(v_tile.data());
#pragma omp simd
        for (int64_t i = 0; i < tile.count * h.passive; ++i) v[i] = x[i] * scale[i] + offset[i];
      }
      mix.put(v_tile.data(), tile.count, buffer.data(), y.data<T>() + tile.first * y.pitch(),
              y.pitch());
    };
  });
  add_sample_sums(log_dets, h, log_det, 1.0);
}

template <typename T, typename A>
void inverse(const Tensor& y, const Tensor& a, const CouplingGains& gains,
             const CouplingOutput& output, const Tensor& active, const Tensor& log_det) {
  const Halves h(a, y.channels(), output);
  const TileMix<T> mix(h, output);
  const T clamp = static_cast<T>(gains.clamp);
  const T s_gain = static_cast<T>(gains.s_gain);
  const T t_gain = static_cast<T>(gains.t_gain);
  std::vector<double> log_dets(static_cast<size_t>(h.chunks()), 0.0);
  for_each_tile(h, [&] {
    const auto tile_size = static_cast<size_t>(mix.tile_size());
    return [&, coefficients = Coefficients<T, A>(h), x_tile = std::vector<T>(tile_size),
            buffer = std::vector<T>(tile_size)](const Tile& tile) mutable {
      coefficients.load(a, tile);
      mix.take_active(y.data<T>() + tile.first * y.pitch(), y.pitch(), tile.count, buffer.data(),
                      x_tile.data());
      const T* s = coefficients.s;
      const T* t = coefficients.t;
      const T shift = shift_of<T>(output, tile.sample);
      const T* scale = mix.active_scale.data();
      const T* offset = mix.active_offset.data();
      T* x = x_tile.data();
      T log_det_sum = 0;
#pragma omp simd reduction(+ : log_det_sum)
      for (int64_t i = 0; i < tile.count * h.active; ++i) {
        const T log_s = soft_clamp(s[i], clamp, s_gain).log_s - shift;
        x[i] = scaled_affine_inverse(x[i], fast_exp(log_s), t_gain * t[i], scale[i], offset[i]);
        log_det_sum += log_s;
      }
      log_dets[static_cast<size_t>(tile.chunk)] += static_cast<double>(log_det_sum);
      copy_rows(x_tile.data(), h.active, active.data<T>() + tile.first * active.pitch(),
                active.pitch(), tile.count, h.active);
    };
  });
  if (log_det.defined()) add_sample_sums(log_dets, h, log_det, -1.0);
}

template <typename T>
void inverse_passive(const Tensor& y, const CouplingOutput& output, const Tensor& passive) {
  // The geometry of a coupling whose active half is the rest.
  const int64_t channels = y.channels();
  Halves h;
  h.batch = y.size(0);
  h.pixels = y.rows() / y.size(0);
  h.passive = passive.channels();
  h.active = channels - h.passive;
  h.active_at = output.active_first ? 0 : h.passive;
  h.passive_at = output.active_first ? h.active : 0;
  const TileMix<T> mix(h, output);
  for_each_tile(h, [&] {
    const auto tile_size = static_cast<size_t>(mix.tile_size());
    return [&, x_tile = std::vector<T>(tile_size),
            buffer = std::vector<T>(tile_size)](const Tile& tile) mutable {
      mix.take_passive(y.data<T>() + tile.first * y.pitch(), y.pitch(), tile.count, buffer.data(),
                       x_tile.data());
      const T* scale = mix.passive_scale.data();
      const T* offset = mix.passive_offset.data();
      T* x = x_tile.data();
#pragma omp simd
      for (int64_t i = 0; i < tile.count * h.passive; ++i) x[i] = (x[i] - offset[i]) / scale[i];
      copy_rows(x_tile.data(), h.passive, passive.data<T>() + tile.first * passive.pitch(),
                passive.pitch(), tile.count, h.passive);
    };
  });
}

template <typename T, typename A>
void mean_log_s(const Tensor& a, const CouplingGains& gains, const Tensor& mean) {
  const Halves h(a, a.channels() / 2, {});
  const T clamp = static_cast<T>(gains.clamp);
  const T s_gain = static_cast<T>(gains.s_gain);
  std::vector<double> sums(static_cast<size_t>(h.chunks()), 0.0);
  for_each_tile(h, [&] {
    return [&, coefficients = Coefficients<T, A>(h)](const Tile& tile) mutable {
      coefficients.load(a, tile);
      const T* s = coefficients.s;
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

template <typename T, typename A>
void mean_log_s_backward(const Tensor& a, const CouplingGains& gains, const Tensor& grad_log_s,
                         const Tensor& grad_a) {
  const int64_t half = a.channels() / 2;
  const int64_t pixels = a.rows() / a.size(0);
  parallel_for(a.rows(), row_grain(half), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T mean = static_cast<T>(grad_log_s.data<double>()[row / pixels] /
                                    static_cast<double>(pixels * half));
      const A* s = a.data<A>() + row * a.pitch();
      A* grad = grad_a.data<A>() + row * grad_a.pitch();
      for (int64_t c = 0; c < half; ++c) {
        const T tanh = fast_tanh(static_cast<T>(gains.s_gain) * static_cast<T>(Compute<A>(s[c])));
        const T slope =
            soft_clamp_slope(tanh, static_cast<T>(gains.clamp), static_cast<T>(gains.s_gain));
        grad[c] = static_cast<A>(
            static_cast<Compute<A>>(static_cast<T>(Compute<A>(grad[c])) - mean * slope));
      }
    }
  });
}

}  // namespace

void coupling_mean_log_s(const Tensor& a, const CouplingGains& gains, const Tensor& mean) {
  check_mean_log_s(a, mean);
  const ProfileScope profile("coupling_mean_log_s", a.bytes() / 2);
  dispatch_pair("coupling_mean_log_s", stream_of(a.dtype()), a.dtype(),
                [&](auto t, auto ta) { mean_log_s<decltype(t), decltype(ta)>(a, gains, mean); });
}

void coupling_mean_log_s_backward(const Tensor& a, const CouplingGains& gains,
                                  const Tensor& grad_log_s, const Tensor& grad_a) {
  check_mean_log_s_backward(a, grad_log_s, grad_a);
  const ProfileScope profile("coupling_mean_log_s_backward", 2 * a.bytes());
  dispatch_pair("coupling_mean_log_s_backward", stream_of(a.dtype()), a.dtype(),
                [&](auto t, auto ta) {
                  mean_log_s_backward<decltype(t), decltype(ta)>(a, gains, grad_log_s, grad_a);
                });
}

void coupling_forward(const Tensor& active, const Tensor& passive, const Tensor& a,
                      const CouplingGains& gains, const CouplingOutput& output, const Tensor& y,
                      const Tensor& log_det) {
  check_forward(active, passive, a, output, y, log_det);
  const ProfileScope profile("coupling_forward", 2 * y.bytes() + a.bytes());
  dispatch_pair("coupling_forward", y.dtype(), a.dtype(), [&](auto t, auto ta) {
    forward<decltype(t), decltype(ta)>(active, passive, a, gains, output, y, log_det);
  });
}

void coupling_inverse_passive(const Tensor& y, const CouplingOutput& output,
                              const Tensor& passive) {
  check_inverse_passive(y, passive);
  const ProfileScope profile("coupling_inverse_passive", 2 * passive.bytes());
  dispatch_real("coupling_inverse_passive", y.dtype(),
                [&](auto typed) { inverse_passive<decltype(typed)>(y, output, passive); });
}

void coupling_inverse(const Tensor& y, const Tensor& a, const CouplingGains& gains,
                      const CouplingOutput& output, const Tensor& active, const Tensor& log_det) {
  check_inverse(y, a, output, active, log_det);
  const ProfileScope profile("coupling_inverse", 2 * active.bytes() + a.bytes());
  dispatch_pair("coupling_inverse", y.dtype(), a.dtype(), [&](auto t, auto ta) {
    inverse<decltype(t), decltype(ta)>(y, a, gains, output, active, log_det);
  });
}

}  // namespace pal::cpu
