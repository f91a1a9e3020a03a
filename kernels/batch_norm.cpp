#include "kernels/batch_norm.h"

#include <vector>

#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

// Rows per partial sum: fixed, so that sums do not depend on the number of threads.
constexpr int64_t kChunkRows = 256;

int64_t chunk_count(int64_t rows) { return (rows + kChunkRows - 1) / kChunkRows; }
int64_t chunk_grain(int64_t channels) {
  return std::max<int64_t>(1, 16384 / (kChunkRows * std::max<int64_t>(1, channels)));
}

/// Sums two per-channel quantities over all rows: add(row, first, second) adds a row's terms to two
/// arrays of the arithmetic type. Returns [2][channels] in double.
template <typename C, typename AddRow>
std::vector<double> sum_rows(int64_t rows, int64_t channels, AddRow&& add_row) {
  const int64_t chunks = chunk_count(rows);
  std::vector<double> sums(static_cast<size_t>(2 * chunks * channels));
  parallel_for(chunks, chunk_grain(channels), [&](int64_t begin, int64_t end) {
    std::vector<C> local(static_cast<size_t>(2 * channels));
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      std::fill(local.begin(), local.end(), C{0});
      const int64_t last = std::min(rows, (chunk + 1) * kChunkRows);
      for (int64_t row = chunk * kChunkRows; row < last; ++row)
        add_row(row, local.data(), local.data() + channels);
      for (int64_t i = 0; i < 2 * channels; ++i)
        sums[static_cast<size_t>(2 * chunk * channels + i)] =
            static_cast<double>(local[static_cast<size_t>(i)]);
    }
  });
  tree_sum(sums.data(), chunks, 2 * channels);
  sums.resize(static_cast<size_t>(2 * channels));
  return sums;
}

/// Calls body with the types of x, of y and of the parameters.
template <typename Body>
void dispatch(const char* op, DType x, DType y, Body&& body) {
  if (x == DType::f32 && y == DType::f32) return body(float{}, float{}, float{});
  if (x == DType::f32 && y == DType::bf16) return body(float{}, bfloat16{}, float{});
  if (x == DType::bf16 && y == DType::bf16) return body(bfloat16{}, bfloat16{}, float{});
  if (x == DType::f64 && y == DType::f64) return body(double{}, double{}, double{});
  fail(ErrorKind::usage, "{}: no kernel for x of {} and y of {}", op, name_of(x), name_of(y));
}

void check(const char* op, const Tensor& x, const Tensor& y, const BatchNormArgs& args) {
  const int64_t channels = x.channels();
  expect(x.rows() > 0, "{}: expected at least one row, got {}", op, x.shape().str());
  expect(y.shape() == x.shape(), "{}: expected {}, got {}", op, x.shape().str(), y.shape().str());
  expect(args.mean.numel() == channels && args.inv_std.numel() == channels &&
             args.weight.numel() == channels && args.bias.numel() == channels,
         "{}: expected parameters of {} channels", op, channels);
}

template <typename X, typename P>
void statistics(const Tensor& x, const Tensor& mean, const Tensor& variance) {
  using C = Compute<X>;
  const int64_t channels = x.channels();
  const X* from = x.data<X>();
  // Sums relative to the first row: no cancellation when the mean is far from zero.
  std::vector<C> shift(static_cast<size_t>(channels));
  for (int64_t c = 0; c < channels; ++c) shift[static_cast<size_t>(c)] = static_cast<C>(from[c]);
  const C* base = shift.data();
  const auto sums = sum_rows<C>(x.rows(), channels, [&](int64_t row, C* first, C* second) {
    const X* values = from + row * x.pitch();
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const C d = static_cast<C>(values[c]) - base[c];
      first[c] += d;
      second[c] += d * d;
    }
  });
  const auto rows = static_cast<double>(x.rows());
  for (int64_t c = 0; c < channels; ++c) {
    const double d = sums[static_cast<size_t>(c)] / rows;
    const double square = sums[static_cast<size_t>(channels + c)] / rows;
    mean.data<P>()[c] = static_cast<P>(static_cast<double>(base[c]) + d);
    variance.data<P>()[c] = static_cast<P>(std::max(0.0, square - d * d));
  }
}

template <typename X, typename Y, typename P>
void forward(const Tensor& x, const BatchNormArgs& args, bool relu, const Tensor& y) {
  using C = Compute<X>;
  const int64_t channels = x.channels();
  std::vector<C> gain(static_cast<size_t>(channels));
  for (int64_t c = 0; c < channels; ++c)
    gain[static_cast<size_t>(c)] = args.inv_std.data<P>()[c] * args.weight.data<P>()[c];
  const C* slope = gain.data();
  const P* mean = args.mean.data<P>();
  const P* bias = args.bias.data<P>();
  const C floor = relu ? C{0} : -std::numeric_limits<C>::infinity();
  parallel_for(x.rows(), row_grain(channels), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const X* from = x.data<X>() + row * x.pitch();
      Y* to = y.data<Y>() + row * y.pitch();
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) {
        const C value = (static_cast<C>(from[c]) - mean[c]) * slope[c] + bias[c];
        // A NaN must pass the ReLU, so that it is seen.
        to[c] = static_cast<Y>(value < floor ? floor : value);
      }
    }
  });
}

template <typename X, typename Y, typename P>
void backward(const Tensor& x, const Tensor& grad_y, const BatchNormArgs& args, bool relu,
              bool batch_statistics_used, const BatchNormGrads& grads) {
  using C = Compute<X>;
  const int64_t channels = x.channels();
  const auto count = static_cast<size_t>(channels);
  std::vector<C> slopes(count);
  for (size_t c = 0; c < count; ++c)
    slopes[c] = args.inv_std.data<P>()[c] * args.weight.data<P>()[c];
  const C* slope = slopes.data();
  const P* mean = args.mean.data<P>();
  const P* inv_std = args.inv_std.data<P>();
  const P* bias = args.bias.data<P>();
  const C floor = relu ? C{0} : -std::numeric_limits<C>::infinity();
  // first: sum(g), second: sum(g * (x - mean)), g masked by the ReLU.
  const auto sums = sum_rows<C>(x.rows(), channels, [&](int64_t row, C* first, C* second) {
    const X* from = x.data<X>() + row * x.pitch();
    const Y* grad = grad_y.data<Y>() + row * grad_y.pitch();
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const C centred = static_cast<C>(from[c]) - mean[c];
      const C g = centred * slope[c] + bias[c] > floor ? static_cast<C>(grad[c]) : C{0};
      first[c] += g;
      second[c] += g * centred;
    }
  });
  const auto rows = static_cast<double>(x.rows());
  std::vector<C> mean_g(count), slope_gx(count);
  for (size_t c = 0; c < count; ++c) {
    const double inv = inv_std[c];
    if (grads.bias.defined()) grads.bias.data<P>()[c] += static_cast<P>(sums[c]);
    if (grads.weight.defined()) grads.weight.data<P>()[c] += static_cast<P>(sums[count + c] * inv);
    if (!batch_statistics_used) continue;
    mean_g[c] = static_cast<C>(sums[c] / rows);
    slope_gx[c] = static_cast<C>(sums[count + c] * inv * inv / rows);
  }
  if (!grads.x.defined()) return;
  const C* mg = mean_g.data();
  const C* mgx = slope_gx.data();
  const auto apply = [&]<bool kAccumulate>(int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const X* from = x.data<X>() + row * x.pitch();
      const Y* grad = grad_y.data<Y>() + row * grad_y.pitch();
      X* to = grads.x.data<X>() + row * grads.x.pitch();
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) {
        const C centred = static_cast<C>(from[c]) - mean[c];
        const C g = centred * slope[c] + bias[c] > floor ? static_cast<C>(grad[c]) : C{0};
        const C value = slope[c] * (g - mg[c] - centred * mgx[c]);
        if constexpr (kAccumulate)
          to[c] = static_cast<X>(static_cast<C>(to[c]) + value);
        else
          to[c] = static_cast<X>(value);
      }
    }
  };
  parallel_for(x.rows(), row_grain(channels), [&](int64_t begin, int64_t end) {
    if (grads.accumulate_x)
      apply.template operator()<true>(begin, end);
    else
      apply.template operator()<false>(begin, end);
  });
}

}  // namespace

void batch_statistics(const Tensor& x, const Tensor& mean, const Tensor& variance) {
  expect(x.rows() > 0 && mean.numel() == x.channels() && variance.numel() == x.channels(),
         "batch_statistics: expected rows and {} channels, got {}", x.channels(), x.shape().str());
  const ProfileScope profile("batch_statistics", x.bytes());
  dispatch("batch_statistics", x.dtype(), x.dtype(), [&](auto tx, auto, auto tp) {
    statistics<decltype(tx), decltype(tp)>(x, mean, variance);
  });
}

void batch_norm_forward(const Tensor& x, const BatchNormArgs& args, bool relu, const Tensor& y) {
  check("batch_norm_forward", x, y, args);
  const ProfileScope profile("batch_norm_forward", x.bytes() + y.bytes());
  dispatch("batch_norm_forward", x.dtype(), y.dtype(), [&](auto tx, auto ty, auto tp) {
    forward<decltype(tx), decltype(ty), decltype(tp)>(x, args, relu, y);
  });
}

void batch_norm_backward(const Tensor& x, const Tensor& grad_y, const BatchNormArgs& args,
                         bool relu, bool batch_statistics_used, const BatchNormGrads& grads) {
  check("batch_norm_backward", x, grad_y, args);
  expect(!grads.x.defined() || (grads.x.shape() == x.shape() && grads.x.dtype() == x.dtype()),
         "batch_norm_backward: expected grad_x like x {}", x.shape().str());
  for (const Tensor& grad : {grads.weight, grads.bias})
    expect(!grad.defined() || grad.numel() == x.channels(),
           "batch_norm_backward: expected gradients of {} channels, got {}", x.channels(),
           grad.shape().str());
  const ProfileScope profile("batch_norm_backward", 3 * x.bytes() + 2 * grad_y.bytes());
  dispatch("batch_norm_backward", x.dtype(), grad_y.dtype(), [&](auto tx, auto ty, auto tp) {
    backward<decltype(tx), decltype(ty), decltype(tp)>(x, grad_y, args, relu, batch_statistics_used,
                                                       grads);
  });
}

}  // namespace pal::cpu
