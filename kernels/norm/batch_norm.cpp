#include "kernels/norm/batch_norm.h"

#include "kernels/norm/batch_norm_lines.h"
#include "kernels/norm/batch_norm_math.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

using namespace batch_norm;

/// The numbers of y = (x - mean) slope + bias, each repeated to a line.
template <typename C>
struct Affine {
  std::vector<C> mean, slope, bias;

  Affine(const Lines& lines, const BatchNormArgs& args)
      : mean(lines.repeated<C>(args.mean.data<C>())), bias(lines.repeated<C>(args.bias.data<C>())) {
    std::vector<C> gain(static_cast<size_t>(lines.channels));
    for (int64_t c = 0; c < lines.channels; ++c)
      gain[static_cast<size_t>(c)] = args.inv_std.data<C>()[c] * args.weight.data<C>()[c];
    slope = lines.repeated<C>(gain.data());
  }
};

template <typename X, typename Y>
void forward(const Tensor& x, const BatchNormArgs& args, bool relu, const Tensor& y) {
  using C = Compute<X>;
  const Lines lines(x, x.is_dense() && y.is_dense());
  const Affine<C> affine(lines, args);
  const C* mean = affine.mean.data();
  const C* slope = affine.slope.data();
  const C* bias = affine.bias.data();
  const C floor = least_result<C>(relu);
  parallel_for(lines.rows, row_grain(lines.channels), [&](int64_t begin, int64_t end) {
    LineReader<X> reader(x, lines);
    LineWriter<Y> writer(y, lines);
    for_each_line(lines, begin, end, [&](int64_t row, int64_t count) {
      const X* from = reader.read(row, count);
      Y* to = writer.open(row, count, false);
#pragma omp simd
      for (int64_t i = 0; i < count * lines.channels; ++i) {
        const C value =
            batch_norm_math::normalised(static_cast<C>(from[i]) - mean[i], slope[i], bias[i]);
        to[i] = static_cast<Y>(batch_norm_math::rectified(value, floor));
      }
      writer.close(row, count);
    });
  });
}

/// The sums of what passes the ReLU, g, and of g * (x - mean), [2][channels].
template <typename X, typename Y>
std::vector<double> backward_sums(const Tensor& x, const Tensor& grad_y, const BatchNormArgs& args,
                                  bool relu) {
  using C = Compute<X>;
  const Lines lines(x, x.is_dense() && grad_y.is_dense());
  const Affine<C> affine(lines, args);
  const C* mean = affine.mean.data();
  const C* slope = affine.slope.data();
  const C* bias = affine.bias.data();
  const C floor = least_result<C>(relu);
  return sum_rows<C>(lines, [&] {
    return [&, x_reader = LineReader<X>(x, lines),
            grad_reader = LineReader<Y>(grad_y, lines)]<int64_t kCount>(
               int64_t row, int64_t step, int64_t count, C* first, C* second) mutable {
      const X* from[kCount];
      const Y* grad[kCount];
      for (int64_t n = 0; n < kCount; ++n) {
        from[n] = x_reader.read(row + n * step, count, n);
        grad[n] = grad_reader.read(row + n * step, count, n);
      }
#pragma omp simd
      for (int64_t i = 0; i < count * lines.channels; ++i) {
        C sum{0};
        C products{0};
        for (int64_t n = 0; n < kCount; ++n) {
          const C centred = static_cast<C>(from[n][i]) - mean[i];
          const C g = batch_norm_math::passed(static_cast<C>(grad[n][i]), centred, slope[i],
                                              bias[i], floor);
          sum += g;
          products += g * centred;
        }
        first[i] += sum;
        second[i] += products;
      }
    };
  });
}

/// The gradients of the rows of x, from sums over all `rows` rows.
template <typename X, typename Y>
void backward_of(const Tensor& x, const Tensor& grad_y, const BatchNormArgs& args, bool relu,
                 bool batch_statistics_used, const double* sums, double rows,
                 const BatchNormGrads& grads) {
  using C = Compute<X>;
  const auto channels = static_cast<size_t>(x.channels());
  std::vector<C> mean_g(channels), slope_gx(channels);
  for (size_t c = 0; c < channels; ++c) {
    const double inv = args.inv_std.data<C>()[c];
    if (grads.bias.defined()) grads.bias.data<C>()[c] += static_cast<C>(sums[c]);
    if (grads.weight.defined())
      grads.weight.data<C>()[c] += static_cast<C>(sums[channels + c] * inv);
    if (!batch_statistics_used) continue;
    mean_g[c] = static_cast<C>(sums[c] / rows);
    slope_gx[c] = static_cast<C>(batch_norm_math::gradient_slope(sums[channels + c], inv, rows));
  }
  if (!grads.x.defined()) return;
  const Lines lines(x, x.is_dense() && grad_y.is_dense() && grads.x.is_dense());
  const Affine<C> affine(lines, args);
  const C* mean = affine.mean.data();
  const C* slope = affine.slope.data();
  const C* bias = affine.bias.data();
  const C floor = least_result<C>(relu);
  const std::vector<C> mean_line = lines.repeated<C>(mean_g.data());
  const std::vector<C> slope_line = lines.repeated<C>(slope_gx.data());
  const C* mg = mean_line.data();
  const C* mgx = slope_line.data();
  const auto apply = [&]<bool kAccumulate>(int64_t begin, int64_t end) {
    LineReader<X> x_reader(x, lines);
    LineReader<Y> grad_reader(grad_y, lines);
    LineWriter<X> writer(grads.x, lines);
    for_each_line(lines, begin, end, [&](int64_t row, int64_t count) {
      const X* from = x_reader.read(row, count);
      const Y* grad = grad_reader.read(row, count);
      X* to = writer.open(row, count, kAccumulate);
#pragma omp simd
      for (int64_t i = 0; i < count * lines.channels; ++i) {
        const C centred = static_cast<C>(from[i]) - mean[i];
        const C g =
            batch_norm_math::passed(static_cast<C>(grad[i]), centred, slope[i], bias[i], floor);
        const C value = batch_norm_math::input_gradient(g, centred, slope[i], mg[i], mgx[i]);
        if constexpr (kAccumulate)
          to[i] = static_cast<X>(static_cast<C>(to[i]) + value);
        else
          to[i] = static_cast<X>(value);
      }
      writer.close(row, count);
    });
  };
  parallel_for(lines.rows, row_grain(lines.channels), [&](int64_t begin, int64_t end) {
    if (grads.accumulate_x)
      apply.template operator()<true>(begin, end);
    else
      apply.template operator()<false>(begin, end);
  });
}

}  // namespace

void batch_norm_forward(const Tensor& x, const BatchNormArgs& args, bool relu, const Tensor& y) {
  check_batch_norm("batch_norm_forward", x, y, args);
  const ProfileScope profile("batch_norm_forward", x.bytes() + y.bytes());
  dispatch("batch_norm_forward", x.dtype(), y.dtype(),
           [&](auto tx, auto ty) { forward<decltype(tx), decltype(ty)>(x, args, relu, y); });
}

void batch_norm_backward(const Tensor& x, const Tensor& grad_y, const BatchNormArgs& args,
                         bool relu, bool batch_statistics_used, const BatchNormGrads& grads) {
  check_batch_norm_backward(x, grad_y, args, grads);
  const ProfileScope profile("batch_norm_backward", 3 * x.bytes() + 2 * grad_y.bytes());
  dispatch("batch_norm_backward", x.dtype(), grad_y.dtype(), [&](auto tx, auto ty) {
    using X = decltype(tx);
    using Y = decltype(ty);
    // An input's gradient alone, of constant statistics, needs no sums.
    const bool needs_sums = batch_statistics_used || grads.weight.defined() || grads.bias.defined();
    const auto sums =
        needs_sums ? backward_sums<X, Y>(x, grad_y, args, relu) : std::vector<double>();
    backward_of<X, Y>(x, grad_y, args, relu, batch_statistics_used, sums.data(),
                      static_cast<double>(x.rows()), grads);
  });
}

void batch_norm_backward_sums(const Tensor& x, const Tensor& grad_y, const BatchNormArgs& args,
                              bool relu, const Tensor& sums) {
  check_batch_norm("batch_norm_backward_sums", x, grad_y, args);
  check_batch_norm_sums("batch_norm_backward_sums", x, sums);
  const ProfileScope profile("batch_norm_backward", x.bytes() + grad_y.bytes());
  dispatch("batch_norm_backward_sums", x.dtype(), grad_y.dtype(), [&](auto tx, auto ty) {
    add_sums(backward_sums<decltype(tx), decltype(ty)>(x, grad_y, args, relu), sums);
  });
}

void batch_norm_backward_of(const Tensor& x, const Tensor& grad_y, const BatchNormArgs& args,
                            bool relu, bool batch_statistics_used, const Tensor& sums, int64_t rows,
                            const BatchNormGrads& grads) {
  check_batch_norm_backward(x, grad_y, args, grads);
  check_batch_norm_sums("batch_norm_backward_of", x, sums);
  const ProfileScope profile("batch_norm_backward", 2 * x.bytes() + grad_y.bytes());
  dispatch("batch_norm_backward_of", x.dtype(), grad_y.dtype(), [&](auto tx, auto ty) {
    backward_of<decltype(tx), decltype(ty)>(x, grad_y, args, relu, batch_statistics_used,
                                            sums.data<double>(), static_cast<double>(rows), grads);
  });
}

void batch_norm_scale_sums(const Tensor& totals, int64_t rows) {
  check_batch_norm_scale_sums(totals, rows);
  auto* sums = totals.data<double>();
  const int64_t count = totals.numel() - 1;
  const double factor = static_cast<double>(rows) / sums[count];
  for (int64_t i = 0; i < count; ++i) sums[i] *= factor;
}

}  // namespace pal::cpu
