#include "kernels/common/column_kernels.cuh"
#include "kernels/common/gpu_dtypes.h"
#include "kernels/norm/batch_norm.h"
#include "kernels/norm/batch_norm_check.h"
#include "kernels/norm/batch_norm_math.h"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

/// The numbers of y = (x - mean) slope + bias for kWidth channels.
template <int kWidth>
struct Affine {
  Vec<float, kWidth> mean, slope, bias;
};

/// The numbers of all channels, [channels] each, and the least result.
struct Parameters {
  explicit Parameters(const BatchNormArgs& args, bool relu)
      : mean(args.mean.data<float>()),
        inv_std(args.inv_std.data<float>()),
        weight(args.weight.data<float>()),
        bias(args.bias.data<float>()),
        aligned(aligned_values(mean, inv_std, weight, bias)),
        floor(least_result<float>(relu)) {}

  template <int kWidth>
  __device__ Affine<kWidth> load(const ColumnPlace& at) const {
    Affine<kWidth> affine = {channel_values<kWidth>(mean, aligned, at),
                             channel_values<kWidth>(inv_std, aligned, at),
                             channel_values<kWidth>(bias, aligned, at)};
    const auto weights = channel_values<kWidth>(weight, aligned, at);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) affine.slope.at[k] *= weights.at[k];
    return affine;
  }

  const float* mean;
  const float* inv_std;
  const float* weight;
  const float* bias;
  bool aligned;
  float floor;
};

/// Map: the forward pass.
template <typename X, typename Y, int kAccess>
struct ForwardMap {
  static constexpr int kWidth = kAccess;
  static constexpr int kUnroll = 4;
  using Line = Vec<X, kWidth>;
  using Channels = Affine<kWidth>;

  __device__ Channels channels(const ColumnPlace& at) const { return parameters.load<kWidth>(at); }
  __device__ Line load(int64_t line, int element) const {
    return load_vector<kWidth>(x.line(line) + element);
  }
  __device__ void store(int64_t line, int element, const Channels& c, const Line& from) const {
    Vec<Y, kWidth> to;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      const float value = batch_norm_math::normalised(static_cast<float>(from.at[k]) - c.mean.at[k],
                                                      c.slope.at[k], c.bias.at[k]);
      to.at[k] = Y(batch_norm_math::rectified(value, parameters.floor));
    }
    store_vector(y.line(line) + element, to);
  }

  Lines<const X> x;
  Lines<Y> y;
  Parameters parameters;
};

/// What the backward pass reads of kWidth neighbouring elements.
template <typename X, typename Y, int kWidth>
struct InputAndGradient {
  Vec<X, kWidth> x;
  Vec<Y, kWidth> grad;

  __device__ float centred(int k, const Affine<kWidth>& c) const {
    return static_cast<float>(x.at[k]) - c.mean.at[k];
  }
  /// What of element k's gradient passes the ReLU.
  __device__ float passed(int k, const Affine<kWidth>& c, float floor) const {
    return batch_norm_math::passed(static_cast<float>(grad.at[k]), centred(k, c), c.slope.at[k],
                                   c.bias.at[k], floor);
  }
};

/// Sums: of what passes the ReLU, g, and of g * (x - mean).
template <typename X, typename Y, int kAccess>
struct BackwardSums {
  static constexpr int kWidth = kAccess;
  static constexpr int kUnroll = kWidth == 8 ? 2 : 4;
  using Line = InputAndGradient<X, Y, kWidth>;
  using Channels = Affine<kWidth>;

  __device__ Channels channels(const ColumnPlace& at) const { return parameters.load<kWidth>(at); }
  __device__ Line load(int64_t line, int element) const {
    return {load_vector<kWidth>(x.line(line) + element),
            load_vector<kWidth>(grad_y.line(line) + element)};
  }
  __device__ void add(int64_t, int, const Channels& c, const Line& from, float* sum,
                      float* products) const {
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      const float g = from.passed(k, c, parameters.floor);
      sum[k] += g;
      products[k] += g * from.centred(k, c);
    }
  }

  Lines<const X> x;
  Lines<const Y> grad_y;
  Parameters parameters;
};

/// Takes a channel's two sums: adds to the gradients of the parameters and writes the coefficients
/// of grad_x. Null pointers: not wanted.
struct FinishBackward {
  __device__ void operator()(int channel, double sum, double products) const {
    const auto inv = static_cast<double>(inv_std[channel]);
    if (grad_bias != nullptr) grad_bias[channel] += static_cast<float>(sum);
    if (grad_weight != nullptr) grad_weight[channel] += static_cast<float>(products * inv);
    if (mean_g == nullptr) return;
    mean_g[channel] = static_cast<float>(sum / rows);
    slope_gx[channel] = static_cast<float>(batch_norm_math::gradient_slope(products, inv, rows));
  }
  const float* inv_std;
  float* grad_weight;
  float* grad_bias;
  float* mean_g;
  float* slope_gx;
  double rows;
};

/// Map: grad_x, overwritten or with kAccumulate added to.
template <typename X, typename Y, int kAccess, bool kAccumulate>
struct BackwardMap {
  static constexpr int kWidth = kAccess;
  static constexpr int kUnroll = 2;
  struct Line {
    InputAndGradient<X, Y, kWidth> from;
    Vec<X, kWidth> old;
  };
  struct Channels {
    Affine<kWidth> affine;
    Vec<float, kWidth> mean_g, slope_gx;
  };

  __device__ Channels channels(const ColumnPlace& at) const {
    Channels c = {parameters.load<kWidth>(at), {}, {}};
    if (mean_g != nullptr) {
      c.mean_g = channel_values<kWidth>(mean_g, true, at);
      c.slope_gx = channel_values<kWidth>(slope_gx, true, at);
    }
    return c;
  }
  __device__ Line load(int64_t line, int element) const {
    Line result;
    result.from = {load_vector<kWidth>(x.line(line) + element),
                   load_vector<kWidth>(grad_y.line(line) + element)};
    if constexpr (kAccumulate) result.old = load_vector<kWidth>(grad_x.line(line) + element);
    return result;
  }
  __device__ void store(int64_t line, int element, const Channels& c, const Line& data) const {
    Vec<X, kWidth> to;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      const float g = data.from.passed(k, c.affine, parameters.floor);
      float value =
          batch_norm_math::input_gradient(g, data.from.centred(k, c.affine), c.affine.slope.at[k],
                                          c.mean_g.at[k], c.slope_gx.at[k]);
      if constexpr (kAccumulate) value += static_cast<float>(data.old.at[k]);
      to.at[k] = X(value);
    }
    store_vector(grad_x.line(line) + element, to);
  }

  Lines<const X> x;
  Lines<const Y> grad_y;
  Lines<X> grad_x;
  Parameters parameters;
  const float* mean_g;  ///< null: zeros
  const float* slope_gx;
};

/// The gradients of the parameters and the coefficients, from sums over all rows.
__global__ void __launch_bounds__(kThreads)
    backward_of_kernel(const double* sums, int channels, FinishBackward finish) {
  for (int64_t c = global_thread(); c < channels; c += global_threads())
    finish(static_cast<int>(c), sums[c], sums[channels + c]);
}

/// Scales `count` sums to `rows` rows of those that lie behind them.
__global__ void __launch_bounds__(kThreads)
    scale_sums_kernel(double* sums, int count, double rows) {
  const double factor = rows / sums[count];
  for (int64_t i = global_thread(); i < count; i += global_threads()) sums[i] *= factor;
}

float* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<float>() : nullptr;
}

template <typename X, typename Y>
void forward(const Tensor& x, const Parameters& parameters, const Tensor& y) {
  constexpr int kWidest = kWidestOf<X, Y>;
  ColumnLayout(kWidest, {x, y}).for_each<kWidest>([&](auto width, const ColumnTiles& tiles) {
    launch_column_map(
        ForwardMap<X, Y, width>{Lines<const X>(x, tiles), Lines<Y>(y, tiles), parameters}, tiles);
  });
}

template <typename X, typename Y, bool kAccumulate>
void apply(const Tensor& x, const Tensor& grad_y, const Parameters& parameters,
           const FinishBackward& finish, const Tensor& grad_x) {
  constexpr int kWidest = kWidestOf<X, Y>;
  ColumnLayout(kWidest, {x, grad_y, grad_x})
      .for_each<kWidest>([&](auto width, const ColumnTiles& tiles) {
        launch_column_map(BackwardMap<X, Y, width, kAccumulate>{Lines<const X>(x, tiles),
                                                                Lines<const Y>(grad_y, tiles),
                                                                Lines<X>(grad_x, tiles), parameters,
                                                                finish.mean_g, finish.slope_gx},
                          tiles);
      });
}

/// Calls finish(channel, sum, products) for all channels, with the sums of BackwardSums.
template <typename X, typename Y, typename Finish>
void sum_backward(const Tensor& x, const Tensor& grad_y, const Parameters& parameters,
                  const Finish& finish) {
  constexpr int kWidest = kWidestOf<X, Y>;
  sum_columns<kWidest>(
      ColumnLayout(kWidest, {x, grad_y}), x.device(),
      [&](auto width, const ColumnTiles& tiles) {
        return BackwardSums<X, Y, width>{Lines<const X>(x, tiles), Lines<const Y>(grad_y, tiles),
                                         parameters};
      },
      finish);
}

/// The whole backward pass, given the sums over all rows; undefined: they are made from these rows,
/// which are all.
template <typename X, typename Y>
void backward(const Tensor& x, const Tensor& grad_y, const BatchNormArgs& args, bool relu,
              bool batch_statistics_used, const Tensor& sums, int64_t rows,
              const BatchNormGrads& grads) {
  const Parameters parameters(args, relu);
  FinishBackward finish{parameters.inv_std,
                        data_or_null(grads.weight),
                        data_or_null(grads.bias),
                        nullptr,
                        nullptr,
                        static_cast<double>(rows)};
  Tensor coefficients;
  if (grads.x.defined() && batch_statistics_used) {
    coefficients = Tensor::empty({2, x.channels()}, DType::f32, Tag::workspace, x.device());
    finish.mean_g = coefficients.data<float>();
    finish.slope_gx = finish.mean_g + x.channels();
  }
  if (grads.weight.defined() || grads.bias.defined() || coefficients.defined()) {
    const auto channels = static_cast<int>(x.channels());
    if (sums.defined())
      launch(backward_of_kernel, grid_for(channels, kThreads), kThreads, 0, stream(),
             sums.data<double>(), channels, finish);
    else
      sum_backward<X, Y>(x, grad_y, parameters, finish);
  }
  if (!grads.x.defined()) return;
  if (grads.accumulate_x)
    apply<X, Y, true>(x, grad_y, parameters, finish, grads.x);
  else
    apply<X, Y, false>(x, grad_y, parameters, finish, grads.x);
}

}  // namespace

void batch_norm_forward(const Tensor& x, const BatchNormArgs& args, bool relu, const Tensor& y) {
  check_batch_norm("batch_norm_forward", x, y, args);
  refuse_f64("batch_norm_forward", x.dtype());
  const ProfileScope profile("batch_norm_forward", x.bytes() + y.bytes());
  dispatch_batch_norm("batch_norm_forward", x.dtype(), y.dtype(), [&](auto tx, auto ty) {
    forward<decltype(tx), decltype(ty)>(x, Parameters(args, relu), y);
  });
}

void batch_norm_backward(const Tensor& x, const Tensor& grad_y, const BatchNormArgs& args,
                         bool relu, bool batch_statistics_used, const BatchNormGrads& grads) {
  check_batch_norm_backward(x, grad_y, args, grads);
  refuse_f64("batch_norm_backward", x.dtype());
  const ProfileScope profile("batch_norm_backward", 3 * x.bytes() + 2 * grad_y.bytes());
  dispatch_batch_norm("batch_norm_backward", x.dtype(), grad_y.dtype(), [&](auto tx, auto ty) {
    backward<decltype(tx), decltype(ty)>(x, grad_y, args, relu, batch_statistics_used, {}, x.rows(),
                                         grads);
  });
}

void batch_norm_backward_sums(const Tensor& x, const Tensor& grad_y, const BatchNormArgs& args,
                              bool relu, const Tensor& sums) {
  check_batch_norm("batch_norm_backward_sums", x, grad_y, args);
  check_batch_norm_sums("batch_norm_backward_sums", x, sums);
  refuse_f64("batch_norm_backward_sums", x.dtype());
  const ProfileScope profile("batch_norm_backward", x.bytes() + grad_y.bytes());
  dispatch_batch_norm("batch_norm_backward_sums", x.dtype(), grad_y.dtype(), [&](auto tx, auto ty) {
    sum_backward<decltype(tx), decltype(ty)>(x, grad_y, Parameters(args, relu), AddSums(sums));
  });
}

void batch_norm_backward_of(const Tensor& x, const Tensor& grad_y, const BatchNormArgs& args,
                            bool relu, bool batch_statistics_used, const Tensor& sums, int64_t rows,
                            const BatchNormGrads& grads) {
  check_batch_norm_backward(x, grad_y, args, grads);
  check_batch_norm_sums("batch_norm_backward_of", x, sums);
  refuse_f64("batch_norm_backward_of", x.dtype());
  const ProfileScope profile("batch_norm_backward", 2 * x.bytes() + grad_y.bytes());
  dispatch_batch_norm("batch_norm_backward_of", x.dtype(), grad_y.dtype(), [&](auto tx, auto ty) {
    backward<decltype(tx), decltype(ty)>(x, grad_y, args, relu, batch_statistics_used, sums, rows,
                                         grads);
  });
}

void batch_norm_scale_sums(const Tensor& totals, int64_t rows) {
  check_batch_norm_scale_sums(totals, rows);
  const ProfileScope profile("batch_norm_scale_sums", 2 * totals.bytes());
  const auto count = static_cast<int>(totals.numel() - 1);
  if (count == 0) return;
  launch(scale_sums_kernel, grid_for(count, kThreads), kThreads, 0, stream(), totals.data<double>(),
         count, static_cast<double>(rows));
}

}  // namespace pal::cuda
