#include "kernels/coupling.h"

#include <vector>

#include "kernels/check.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

// Pixels are handled in tiles of about this many values per half, so that the transcendental loops
// run over long contiguous arrays whatever the number of channels.
constexpr int64_t kTileValues = 512;
// Pixels per partial sum: fixed, so that sums do not depend on the number of threads.
constexpr int64_t kChunkPixels = 128;

template <typename T>
using Buffer = std::vector<T>;

/// Geometry of one call.
struct Halves {
  int64_t batch = 0;
  int64_t pixels = 0;  // per sample
  int64_t active = 0;  // channels
  int64_t passive = 0;
  int64_t active_at = 0;  // first channel of the active half in v
  int64_t passive_at = 0;

  Halves(const Tensor& a, int64_t channels, const CouplingOutput& output)
      : batch(a.size(0)),
        pixels(a.rows() / std::max<int64_t>(1, a.size(0))),
        active(a.channels() / 2),
        passive(channels - active),
        active_at(output.active_first ? 0 : passive),
        passive_at(output.active_first ? active : 0) {}

  int64_t channels() const { return active + passive; }
  int64_t chunks_per_sample() const { return (pixels + kChunkPixels - 1) / kChunkPixels; }
  int64_t tile_pixels() const {
    return std::clamp<int64_t>(kTileValues / std::max<int64_t>(1, channels()), 1, kChunkPixels);
  }
};

void check(const char* op, const Tensor& a, const Tensor& active, const Tensor& passive,
           const Tensor& y, const CouplingOutput& output) {
  expect(a.rank() == 4 && a.size(0) > 0 && a.channels() % 2 == 0,
         "{}: expected a [n > 0, h, w, 2 c], got {}", op, a.shape().str());
  const int64_t half = a.channels() / 2;
  const int64_t channels = y.channels();
  expect(y.shape() == a.shape().with_last(channels) && channels >= half,
         "{}: y {} does not fit a {}", op, y.shape().str(), a.shape().str());
  expect(!active.defined() || active.shape() == a.shape().with_last(half),
         "{}: active half {} does not fit a {}", op, active.shape().str(), a.shape().str());
  expect(!passive.defined() || passive.shape() == a.shape().with_last(channels - half),
         "{}: passive half {} does not fit a {} and y {}", op, passive.shape().str(),
         a.shape().str(), y.shape().str());
  expect(output.scale.defined() == output.offset.defined() &&
             (!output.scale.defined() || (output.scale.numel() == channels &&
                                          output.offset.numel() == channels)),
         "{}: expected scale and offset of {} channels", op, channels);
  expect(output.index.defined() == output.inverse_index.defined() &&
             (!output.index.defined() || (output.index.numel() == channels &&
                                          output.inverse_index.numel() == channels)),
         "{}: expected index and inverse index of {} channels", op, channels);
}

void check_grads(const char* op, const Tensor& a, const Tensor& grad_y, const Tensor& grad_log_det,
                 const CouplingGrads& grads) {
  expect_tensor(op, "grad_log_det", grad_log_det, {a.size(0)}, DType::f64);
  expect_tensor(op, "grad_a", grads.a, a.shape(), a.dtype());
  expect_shape(op, "grad_active", grads.active, a.shape().with_last(a.channels() / 2));
  for (const auto& [name, grad] : {std::pair{"grad_scale", grads.scale}, {"grad_offset", grads.offset}})
    if (grads.scale.defined()) expect_shape(op, name, grad, {grad_y.channels()});
  if (grads.log_s.defined()) expect_shape(op, "grad_log_s", grads.log_s, {a.size(0)});
}

/// Act norm and permutation as plain arrays; identities where there are none.
template <typename T>
struct Mix {
  Buffer<T> scale, offset;
  Buffer<int32_t> index, inverse;  // empty without a permutation

  Mix(const CouplingOutput& output, int64_t channels)
      : scale(static_cast<size_t>(channels), T{1}), offset(static_cast<size_t>(channels), T{0}) {
    if (output.scale.defined()) {
      std::copy_n(output.scale.data<T>(), channels, scale.data());
      std::copy_n(output.offset.data<T>(), channels, offset.data());
    }
    if (output.index.defined()) {
      index.assign(output.index.data<int32_t>(), output.index.data<int32_t>() + channels);
      inverse.assign(output.inverse_index.data<int32_t>(),
                     output.inverse_index.data<int32_t>() + channels);
    }
  }

  /// to[c] = row[position of channel begin + c of v in the output].
  void gather(const T* row, int64_t begin, int64_t count, T* to) const {
    if (inverse.empty()) {
      std::copy_n(row + begin, count, to);
      return;
    }
    const int32_t* where = inverse.data() + begin;
#pragma omp simd
    for (int64_t c = 0; c < count; ++c) to[c] = row[where[c]];
  }
  /// row[i] = v[index[i]].
  void write(const T* v, int64_t channels, T* row) const {
    if (index.empty()) {
      std::copy_n(v, channels, row);
      return;
    }
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) row[c] = v[index[static_cast<size_t>(c)]];
  }
};

/// s and t of a tile as contiguous arrays in the arithmetic type.
template <typename T, typename A>
struct Factors {
  Buffer<T> s, t, exp_log_s, tanh;

  explicit Factors(int64_t values)
      : s(static_cast<size_t>(values)), t(s), exp_log_s(s), tanh(s) {}

  /// Loads `count` pixels from pixel `first` on and evaluates them; returns sum(log_s), each less
  /// `shift`.
  T evaluate(const Tensor& a, int64_t first, int64_t count, int64_t half, const CouplingGains& g,
             T shift) {
    const A* from = a.data<A>() + first * a.pitch();
    for (int64_t p = 0; p < count; ++p)
      for (int64_t c = 0; c < half; ++c) {
        s[static_cast<size_t>(p * half + c)] = static_cast<T>(Compute<A>(from[p * a.pitch() + c]));
        t[static_cast<size_t>(p * half + c)] =
            static_cast<T>(Compute<A>(from[p * a.pitch() + half + c]));
      }
    const T clamp = static_cast<T>(g.clamp);
    const T s_gain = static_cast<T>(g.s_gain);
    const T t_gain = static_cast<T>(g.t_gain);
    T sum = 0;
    T* s_ = s.data();
    T* t_ = t.data();
    T* e_ = exp_log_s.data();
    T* h_ = tanh.data();
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count * half; ++i) {
      const SoftClamp<T> soft = soft_clamp(s_[i], clamp, s_gain);
      h_[i] = soft.tanh;
      e_[i] = fast_exp(soft.log_s - shift);
      t_[i] *= t_gain;
      sum += soft.log_s - shift;
    }
    return sum;
  }
};

/// Calls body(sample, chunk, first pixel, pixels) for all chunks, in parallel.
template <typename Body>
void for_each_chunk(const Halves& h, Body&& body) {
  const int64_t per_sample = h.chunks_per_sample();
  const int64_t work = std::max<int64_t>(1, 8192 / (kChunkPixels * std::max<int64_t>(1, h.channels())));
  parallel_for(h.batch * per_sample, work, [&](int64_t begin, int64_t end) {
    body(begin, end, [&](int64_t chunk, auto&& visit) {
      const int64_t sample = chunk / per_sample;
      const int64_t first = (chunk % per_sample) * kChunkPixels;
      const int64_t last = std::min(h.pixels, first + kChunkPixels);
      for (int64_t p = first; p < last; p += h.tile_pixels())
        visit(sample, sample * h.pixels + p, std::min(h.tile_pixels(), last - p));
    });
  });
}

/// The sample's log_s_shift.
template <typename T>
T shift_of(const CouplingOutput& output, int64_t sample) {
  return output.log_s_shift.defined() ? static_cast<T>(output.log_s_shift.data<double>()[sample])
                                      : T{0};
}

/// Adds sign * the tree sum of a sample's partial sums to log_det.
template <typename T>
void add_log_det(Buffer<double>& partial, const Halves& h, const Tensor& log_det, double sign) {
  const int64_t per_sample = h.chunks_per_sample();
  for (int64_t n = 0; n < h.batch; ++n) {
    tree_sum(partial.data() + n * per_sample, per_sample, 1);
    log_det.data<double>()[n] += sign * partial[static_cast<size_t>(n * per_sample)];
  }
}

template <typename T, typename A>
void forward(const Tensor& active, const Tensor& passive, const Tensor& a,
             const CouplingGains& gains, const CouplingOutput& output, const Tensor& y,
             const Tensor& log_det) {
  const Halves h(a, y.channels(), output);
  const Mix<T> mix(output, h.channels());
  Buffer<double> partial(static_cast<size_t>(h.batch * h.chunks_per_sample()), 0.0);
  for_each_chunk(h, [&](int64_t begin, int64_t end, auto&& tiles) {
    Factors<T, A> f(h.tile_pixels() * h.active);
    Buffer<T> v(static_cast<size_t>(h.channels()));
    for (int64_t chunk = begin; chunk < end; ++chunk)
      tiles(chunk, [&](int64_t sample, int64_t first, int64_t count) {
        partial[static_cast<size_t>(chunk)] += static_cast<double>(
            f.evaluate(a, first, count, h.active, gains, shift_of<T>(output, sample)));
        for (int64_t p = 0; p < count; ++p) {
          const T* x = active.data<T>() + (first + p) * active.pitch();
          const T* e = f.exp_log_s.data() + p * h.active;
          const T* t = f.t.data() + p * h.active;
          const T* scale = mix.scale.data() + h.active_at;
          const T* offset = mix.offset.data() + h.active_at;
          T* to = v.data() + h.active_at;
#pragma omp simd
          for (int64_t c = 0; c < h.active; ++c)
            to[c] = affine(x[c], e[c], t[c]) * scale[c] + offset[c];
          if (h.passive > 0) {
            const T* kept = passive.data<T>() + (first + p) * passive.pitch();
            scale = mix.scale.data() + h.passive_at;
            offset = mix.offset.data() + h.passive_at;
            to = v.data() + h.passive_at;
#pragma omp simd
            for (int64_t c = 0; c < h.passive; ++c) to[c] = kept[c] * scale[c] + offset[c];
          }
          mix.write(v.data(), h.channels(), y.data<T>() + (first + p) * y.pitch());
        }
      });
  });
  add_log_det<T>(partial, h, log_det, 1.0);
}

template <typename T, typename A>
void inverse(const Tensor& y, const Tensor& a, const CouplingGains& gains,
             const CouplingOutput& output, const Tensor& active, const Tensor& log_det) {
  const Halves h(a, y.channels(), output);
  const Mix<T> mix(output, h.channels());
  Buffer<double> partial(static_cast<size_t>(h.batch * h.chunks_per_sample()), 0.0);
  for_each_chunk(h, [&](int64_t begin, int64_t end, auto&& tiles) {
    Factors<T, A> f(h.tile_pixels() * h.active);
    Buffer<T> v(static_cast<size_t>(h.active));
    for (int64_t chunk = begin; chunk < end; ++chunk)
      tiles(chunk, [&](int64_t sample, int64_t first, int64_t count) {
        partial[static_cast<size_t>(chunk)] += static_cast<double>(
            f.evaluate(a, first, count, h.active, gains, shift_of<T>(output, sample)));
        for (int64_t p = 0; p < count; ++p) {
          mix.gather(y.data<T>() + (first + p) * y.pitch(), h.active_at, h.active, v.data());
          const T* e = f.exp_log_s.data() + p * h.active;
          const T* t = f.t.data() + p * h.active;
          const T* scale = mix.scale.data() + h.active_at;
          const T* offset = mix.offset.data() + h.active_at;
          T* x = active.data<T>() + (first + p) * active.pitch();
#pragma omp simd
          for (int64_t c = 0; c < h.active; ++c)
            x[c] = affine_inverse((v[static_cast<size_t>(c)] - offset[c]) / scale[c], e[c], t[c]);
        }
      });
  });
  if (log_det.defined()) add_log_det<T>(partial, h, log_det, -1.0);
}

template <typename T, typename A>
void mean_log_s(const Tensor& a, const CouplingGains& gains, const Tensor& mean) {
  const Halves h(a, a.channels() / 2, {});
  Buffer<double> partial(static_cast<size_t>(h.batch * h.chunks_per_sample()), 0.0);
  for_each_chunk(h, [&](int64_t begin, int64_t end, auto&& tiles) {
    Factors<T, A> f(h.tile_pixels() * h.active);
    for (int64_t chunk = begin; chunk < end; ++chunk)
      tiles(chunk, [&](int64_t, int64_t first, int64_t count) {
        partial[static_cast<size_t>(chunk)] +=
            static_cast<double>(f.evaluate(a, first, count, h.active, gains, T{0}));
      });
  });
  mean.zero();
  add_log_det<T>(partial, h, mean, 1.0 / static_cast<double>(h.pixels * h.active));
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
        const T slope = soft_clamp_slope(tanh, static_cast<T>(gains.clamp), static_cast<T>(gains.s_gain));
        grad[c] = static_cast<A>(static_cast<Compute<A>>(static_cast<T>(Compute<A>(grad[c])) - mean * slope));
      }
    }
  });
}

/// Both backward passes. With kInverse, `active` is written from y; else v is rebuilt from the
/// stored halves and y is not read.
template <typename T, typename A, bool kInverse>
void backward(const Tensor& y, const Tensor& active, const Tensor& passive, const Tensor& grad_y,
              const Tensor& grad_log_det, const Tensor& a, const CouplingGains& gains,
              const CouplingOutput& output, const CouplingGrads& grads) {
  const Halves h(a, grad_y.channels(), output);
  const Mix<T> mix(output, h.channels());
  const bool act_norm = grads.scale.defined();
  const int64_t chunks = h.batch * h.chunks_per_sample();
  const int64_t channels = h.channels();
  // Per chunk: sum(grad v) and sum(grad v * v) of each channel.
  Buffer<double> sums(act_norm ? static_cast<size_t>(2 * chunks * channels) : 0, 0.0);
  Buffer<double> log_s_sums(static_cast<size_t>(chunks), 0.0);
  const T slope_clamp = static_cast<T>(gains.clamp);
  const T slope_gain = static_cast<T>(gains.s_gain);
  const T t_gain = static_cast<T>(gains.t_gain);
  for_each_chunk(h, [&](int64_t begin, int64_t end, auto&& tiles) {
    Factors<T, A> f(h.tile_pixels() * h.active);
    Buffer<T> v(static_cast<size_t>(channels)), g(v);
    Buffer<T> sum_g(act_norm ? static_cast<size_t>(channels) : 0), sum_gv(sum_g);
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      std::fill(sum_g.begin(), sum_g.end(), T{0});
      std::fill(sum_gv.begin(), sum_gv.end(), T{0});
      tiles(chunk, [&](int64_t sample, int64_t first, int64_t count) {
        f.evaluate(a, first, count, h.active, gains, shift_of<T>(output, sample));
        const T grad_log = static_cast<T>(grad_log_det.data<double>()[sample]);
        for (int64_t p = 0; p < count; ++p) {
          const int64_t pixel = first + p;
          const T* e = f.exp_log_s.data() + p * h.active;
          const T* t = f.t.data() + p * h.active;
          const T* tanh = f.tanh.data() + p * h.active;
          T* x = active.data<T>() + pixel * active.pitch();
          mix.gather(grad_y.data<T>() + pixel * grad_y.pitch(), 0, channels, g.data());
          if constexpr (kInverse) {
            mix.gather(y.data<T>() + pixel * y.pitch(), 0, channels, v.data());
            for (int64_t c = 0; c < channels; ++c)
              v[static_cast<size_t>(c)] = (v[static_cast<size_t>(c)] - mix.offset[static_cast<size_t>(c)]) /
                                          mix.scale[static_cast<size_t>(c)];
            const T* va = v.data() + h.active_at;
#pragma omp simd
            for (int64_t c = 0; c < h.active; ++c) x[c] = affine_inverse(va[c], e[c], t[c]);
          } else if (act_norm) {
            T* va = v.data() + h.active_at;
            for (int64_t c = 0; c < h.active; ++c) va[c] = affine(x[c], e[c], t[c]);
            if (h.passive > 0)
              std::copy_n(passive.data<T>() + pixel * passive.pitch(), h.passive,
                          v.data() + h.passive_at);
          }
          if (act_norm) {
            T* sg = sum_g.data();
            T* sgv = sum_gv.data();
            const T* scale = mix.scale.data();
#pragma omp simd
            for (int64_t c = 0; c < channels; ++c) {
              const T grad = g[static_cast<size_t>(c)];
              sg[c] += grad;
              sgv[c] += grad * v[static_cast<size_t>(c)];
              g[static_cast<size_t>(c)] = grad * scale[c];
            }
          } else if (output.scale.defined()) {
            for (int64_t c = 0; c < channels; ++c)
              g[static_cast<size_t>(c)] *= mix.scale[static_cast<size_t>(c)];
          }
          const T* ga = g.data() + h.active_at;
          T* gx = grads.active.data<T>() + pixel * grads.active.pitch();
          A* gs = grads.a.data<A>() + pixel * grads.a.pitch();
          A* gt = gs + h.active;
          T log_s_grad = 0;
#pragma omp simd reduction(+ : log_s_grad)
          for (int64_t c = 0; c < h.active; ++c) {
            gx[c] = ga[c] * e[c];
            const T grad_log_s = gx[c] * x[c] + grad_log;
            log_s_grad += grad_log_s;
            gs[c] = static_cast<A>(static_cast<Compute<A>>(
                grad_log_s * soft_clamp_slope(tanh[c], slope_clamp, slope_gain)));
            gt[c] = static_cast<A>(static_cast<Compute<A>>(ga[c] * t_gain));
          }
          log_s_sums[static_cast<size_t>(chunk)] += static_cast<double>(log_s_grad);
          if (h.passive > 0 && grads.passive.defined())
            std::copy_n(g.data() + h.passive_at, h.passive,
                        grads.passive.data<T>() + pixel * grads.passive.pitch());
        }
      });
      if (act_norm)
        for (int64_t c = 0; c < channels; ++c) {
          sums[static_cast<size_t>(2 * chunk * channels + c)] =
              static_cast<double>(sum_g[static_cast<size_t>(c)]);
          sums[static_cast<size_t>((2 * chunk + 1) * channels + c)] =
              static_cast<double>(sum_gv[static_cast<size_t>(c)]);
        }
    }
  });
  if (grads.log_s.defined()) {
    grads.log_s.zero();
    add_log_det<T>(log_s_sums, h, grads.log_s, 1.0);
  }
  if (!act_norm) return;
  tree_sum(sums.data(), chunks, 2 * channels);
  for (int64_t c = 0; c < channels; ++c) {
    grads.offset.data<double>()[c] += sums[static_cast<size_t>(c)];
    grads.scale.data<double>()[c] += sums[static_cast<size_t>(channels + c)];
  }
}

/// Calls body with the stream's and the subnet output's types.
template <typename Body>
void dispatch_pair(const char* op, DType stream, DType a, Body&& body) {
  if (stream == DType::f32 && a == DType::f32) return body(float{}, float{});
  if (stream == DType::f32 && a == DType::bf16) return body(float{}, bfloat16{});
  if (stream == DType::f64 && a == DType::f64) return body(double{}, double{});
  fail(ErrorKind::usage, "{}: no kernel for a stream of {} and a subnet output of {}", op,
       name_of(stream), name_of(a));
}

/// The stream's dtype of a subnet output: bf16 subnets serve a float32 stream.
DType stream_of(DType a) { return a == DType::bf16 ? DType::f32 : a; }

}  // namespace

void coupling_mean_log_s(const Tensor& a, const CouplingGains& gains, const Tensor& mean) {
  expect(a.rank() == 4 && a.size(0) > 0 && mean.numel() == a.size(0),
         "coupling_mean_log_s: expected a [n > 0, h, w, 2 c] and mean [n], got {}", a.shape().str());
  const ProfileScope profile("coupling_mean_log_s", a.bytes() / 2);
  dispatch_pair("coupling_mean_log_s", stream_of(a.dtype()), a.dtype(), [&](auto t, auto ta) {
    mean_log_s<decltype(t), decltype(ta)>(a, gains, mean);
  });
}

void coupling_mean_log_s_backward(const Tensor& a, const CouplingGains& gains,
                                  const Tensor& grad_log_s, const Tensor& grad_a) {
  expect(grad_a.shape() == a.shape() && grad_log_s.numel() == a.size(0),
         "coupling_mean_log_s_backward: expected gradients like a {}", a.shape().str());
  const ProfileScope profile("coupling_mean_log_s_backward", 2 * a.bytes());
  dispatch_pair("coupling_mean_log_s_backward", stream_of(a.dtype()), a.dtype(),
                [&](auto t, auto ta) {
                  mean_log_s_backward<decltype(t), decltype(ta)>(a, gains, grad_log_s, grad_a);
                });
}

void coupling_forward(const Tensor& active, const Tensor& passive, const Tensor& a,
                      const CouplingGains& gains, const CouplingOutput& output, const Tensor& y,
                      const Tensor& log_det) {
  check("coupling_forward", a, active, passive, y, output);
  expect_shape("coupling_forward", "log_det", log_det, {a.size(0)});
  const ProfileScope profile("coupling_forward", 2 * y.bytes() + a.bytes());
  dispatch_pair("coupling_forward", y.dtype(), a.dtype(), [&](auto t, auto ta) {
    forward<decltype(t), decltype(ta)>(active, passive, a, gains, output, y, log_det);
  });
}

void coupling_inverse_passive(const Tensor& y, const CouplingOutput& output,
                              const Tensor& passive) {
  const int64_t count = passive.channels();
  const int64_t at = output.active_first ? y.channels() - count : 0;
  expect(y.shape() == passive.shape().with_last(y.channels()) && count <= y.channels(),
         "coupling_inverse_passive: {} does not fit y {}", passive.shape().str(), y.shape().str());
  const ProfileScope profile("coupling_inverse_passive", 2 * passive.bytes());
  dispatch_real("coupling_inverse_passive", y.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const Mix<T> mix(output, y.channels());
    parallel_for(y.rows(), row_grain(count), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        T* to = passive.data<T>() + row * passive.pitch();
        mix.gather(y.data<T>() + row * y.pitch(), at, count, to);
        const T* offset = mix.offset.data() + at;
        const T* scale = mix.scale.data() + at;
        for (int64_t c = 0; c < count; ++c) to[c] = (to[c] - offset[c]) / scale[c];
      }
    });
  });
}

void coupling_inverse(const Tensor& y, const Tensor& a, const CouplingGains& gains,
                      const CouplingOutput& output, const Tensor& active, const Tensor& log_det) {
  check("coupling_inverse", a, active, {}, y, output);
  if (log_det.defined()) expect_shape("coupling_inverse", "log_det", log_det, {a.size(0)});
  const ProfileScope profile("coupling_inverse", 2 * active.bytes() + a.bytes());
  dispatch_pair("coupling_inverse", y.dtype(), a.dtype(), [&](auto t, auto ta) {
    inverse<decltype(t), decltype(ta)>(y, a, gains, output, active, log_det);
  });
}

void coupling_inverse_backward(const Tensor& y, const Tensor& grad_y, const Tensor& grad_log_det,
                               const Tensor& a, const CouplingGains& gains,
                               const CouplingOutput& output, const Tensor& active,
                               const CouplingGrads& grads) {
  check("coupling_inverse_backward", a, active, grads.passive, y, output);
  expect_shape("coupling_inverse_backward", "grad_y", grad_y, y.shape());
  check_grads("coupling_inverse_backward", a, grad_y, grad_log_det, grads);
  const ProfileScope profile("coupling_inverse_backward",
                             3 * y.bytes() + active.bytes() + 2 * a.bytes());
  dispatch_pair("coupling_inverse_backward", y.dtype(), a.dtype(), [&](auto t, auto ta) {
    backward<decltype(t), decltype(ta), true>(y, active, {}, grad_y, grad_log_det, a, gains, output,
                                              grads);
  });
}

void coupling_backward(const Tensor& active, const Tensor& passive, const Tensor& grad_y,
                       const Tensor& grad_log_det, const Tensor& a, const CouplingGains& gains,
                       const CouplingOutput& output, const CouplingGrads& grads) {
  check("coupling_backward", a, active, passive, grad_y, output);
  check_grads("coupling_backward", a, grad_y, grad_log_det, grads);
  const ProfileScope profile("coupling_backward", 3 * grad_y.bytes() + 2 * a.bytes());
  dispatch_pair("coupling_backward", grad_y.dtype(), a.dtype(), [&](auto t, auto ta) {
    backward<decltype(t), decltype(ta), false>({}, active, passive, grad_y, grad_log_det, a, gains,
                                               output, grads);
  });
}

}  // namespace pal::cpu
