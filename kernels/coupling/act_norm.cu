#include "kernels/common/column_kernels.cuh"
#include "kernels/common/gpu_dtypes.h"
#include "kernels/coupling/act_norm.h"
#include "kernels/coupling/act_norm_check.h"
#include "kernels/coupling/act_norm_math.h"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

constexpr int kWidest = kVectorWidth<float>;

/// Scale and offset of the channels of an access.
template <int kWidth>
struct ScaleAndOffset {
  Vec<float, kWidth> scale, offset;
};

/// Map: the forward pass or the inverse.
template <int kAccess, bool kInverse>
struct AffineMap {
  static constexpr int kWidth = kAccess;
  static constexpr int kUnroll = 4;
  using Line = Vec<float, kWidth>;
  using Channels = ScaleAndOffset<kWidth>;

  __device__ Channels channels(const ColumnPlace& at) const {
    return {channel_values<kWidth>(scale, aligned, at),
            channel_values<kWidth>(offset, aligned, at)};
  }
  __device__ Line load(int64_t line, int element) const {
    return load_vector<kWidth>(from.line(line) + element);
  }
  __device__ void store(int64_t line, int element, const Channels& c, const Line& values) const {
    Line result;
#pragma unroll
    for (int k = 0; k < kWidth; ++k)
      result.at[k] = kInverse ? act_norm_math::inverse(values.at[k], c.scale.at[k], c.offset.at[k])
                              : act_norm_math::forward(values.at[k], c.scale.at[k], c.offset.at[k]);
    store_vector(to.line(line) + element, result);
  }

  Lines<const float> from;
  Lines<float> to;
  const float* scale;
  const float* offset;
  bool aligned;
};

/// Sums: of grad_y * x and of grad_y. Writes grad_x on the way.
template <int kAccess>
struct BackwardSums {
  static constexpr int kWidth = kAccess;
  static constexpr int kUnroll = 4;
  struct Line {
    Vec<float, kWidth> x, grad;
  };
  using Channels = Vec<float, kWidth>;

  __device__ Channels channels(const ColumnPlace& at) const {
    return channel_values<kWidth>(scale, aligned, at);
  }
  __device__ Line load(int64_t line, int element) const {
    return {load_vector<kWidth>(x.line(line) + element),
            load_vector<kWidth>(grad_y.line(line) + element)};
  }
  __device__ void add(int64_t line, int element, const Channels& scales, const Line& data,
                      float* sum_gx, float* sum_g) const {
    Vec<float, kWidth> grad;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      sum_gx[k] += data.grad.at[k] * data.x.at[k];
      sum_g[k] += data.grad.at[k];
      grad.at[k] = data.grad.at[k] * scales.at[k];
    }
    if (grad_x.at != nullptr) store_vector(grad_x.line(line) + element, grad);
  }

  Lines<const float> x;
  Lines<const float> grad_y;
  Lines<float> grad_x;  ///< null: not wanted
  const float* scale;
  bool aligned;
};

/// Where an act norm's gamma and scale begin, in their buffers, and its channels.
struct Segment {
  int32_t gamma;
  int32_t scale;
  int32_t channels;
};
/// Threads for one act norm: many, as a channel takes some 200 instructions in double, each of
/// which waits for the one before.
constexpr int kScaleThreads = 512;

/// Overwrites the scales and the sums of their logarithms, an act norm a block. Without `segments`
/// there is one alone.
__global__ void __launch_bounds__(kScaleThreads)
    scales_kernel(const float* gammas, const Segment* segments, Segment alone, int count,
                  ActNormKind kind, float* scales, double* log_scale_sums) {
  for (int i = static_cast<int>(blockIdx.x); i < count; i += static_cast<int>(gridDim.x)) {
    const Segment segment = segments == nullptr ? alone : segments[i];
    double sum = 0.0;
    for (int c = static_cast<int>(threadIdx.x); c < segment.channels; c += kScaleThreads) {
      const auto gamma = static_cast<double>(gammas[segment.gamma + c]);
      const double value = act_norm_math::scale_of(gamma, kind).scale;
      const auto stored = static_cast<float>(value);
      scales[segment.scale + c] = stored;
      sum += act_norm_math::log_scale(value, static_cast<double>(stored));
    }
    sum = block_sum<kScaleThreads>(sum);
    if (threadIdx.x == 0) log_scale_sums[i] = sum;
  }
}

/// What parameters_backward_kernel reads (the first five) and adds to.
struct ParameterGradients {
  const double* grad_scale;
  const double* grad_offset;
  const double* grad_log_det;
  int64_t samples;
  double rows;
  float* grad_gamma;
  float* grad_offset_parameter;
};

__global__ void __launch_bounds__(kThreads)
    parameters_backward_kernel(const float* gamma, int64_t channels, ActNormKind kind,
                               ParameterGradients g) {
  // Each block adds the few samples itself, which saves a launch.
  double grad_log_scale = 0.0;
  for (int64_t n = threadIdx.x; n < g.samples; n += kThreads) grad_log_scale += g.grad_log_det[n];
  grad_log_scale = g.rows * block_sum<kThreads>(grad_log_scale);
  for (int64_t c = global_thread(); c < channels; c += global_threads()) {
    const auto at = act_norm_math::scale_of(static_cast<double>(gamma[c]), kind);
    g.grad_gamma[c] +=
        static_cast<float>(act_norm_math::gamma_gradient(at, g.grad_scale[c], grad_log_scale));
    g.grad_offset_parameter[c] += static_cast<float>(g.grad_offset[c]);
  }
}

void expect_float(const char* op, const Tensor& x) {
  refuse_f64(op, x.dtype());
  expect_dtype(op, "x", x, DType::f32);
}

template <bool kInverse>
void map(const char* op, const Tensor& from, const Tensor& scale, const Tensor& offset,
         const Tensor& to) {
  check_act_norm(op, from, to, scale, offset);
  expect_float(op, from);
  const ProfileScope profile(op, 2 * from.bytes());
  const auto* scales = scale.data<float>();
  const auto* offsets = offset.data<float>();
  ColumnLayout(kWidest, {from, to}).for_each<kWidest>([&](auto width, const ColumnTiles& tiles) {
    launch_column_map(
        AffineMap<width, kInverse>{Lines<const float>(from, tiles), Lines<float>(to, tiles), scales,
                                   offsets, aligned_values(scales, offsets)},
        tiles);
  });
}

}  // namespace

void act_norm_forward(const Tensor& x, const Tensor& scale, const Tensor& offset, const Tensor& y) {
  map<false>("act_norm_forward", x, scale, offset, y);
}

void act_norm_inverse(const Tensor& y, const Tensor& scale, const Tensor& offset, const Tensor& x) {
  map<true>("act_norm_inverse", y, scale, offset, x);
}

void act_norm_backward(const Tensor& x, const Tensor& grad_y, const Tensor& scale,
                       const Tensor& grad_x, const Tensor& grad_scale, const Tensor& grad_offset) {
  check_act_norm_backward(x, grad_y, scale, grad_x, grad_scale, grad_offset);
  expect_float("act_norm_backward", x);
  const ProfileScope profile("act_norm_backward", 3 * x.bytes());
  const auto* scales = scale.data<float>();
  sum_columns<kWidest>(
      ColumnLayout(kWidest, {x, grad_y, grad_x}), x.device(),
      [&](auto width, const ColumnTiles& tiles) {
        return BackwardSums<width>{Lines<const float>(x, tiles), Lines<const float>(grad_y, tiles),
                                   Lines<float>(grad_x, tiles), scales, aligned_values(scales)};
      },
      AddSums{grad_scale.data<double>(), grad_offset.data<double>()});
}

void act_norm_scale(const Tensor& gamma, ActNormKind kind, const Tensor& scale,
                    const Tensor& log_scale_sum) {
  check_act_norm_scale(gamma, scale, log_scale_sum);
  expect_float("act_norm_scale", gamma);
  const ProfileScope profile("act_norm_scale", gamma.bytes() + scale.bytes());
  const Segment alone = {0, 0, static_cast<int32_t>(gamma.numel())};
  launch(scales_kernel, 1, kScaleThreads, 0, stream(), gamma.data<float>(), nullptr, alone, 1, kind,
         scale.data<float>(), log_scale_sum.data<double>());
}

void act_norm_scales(const Tensor& values, const Tensor& segments, ActNormKind kind,
                     const Tensor& scales, const Tensor& log_scale_sums) {
  check_act_norm_scales(values, segments, scales, log_scale_sums);
  expect_float("act_norm_scales", values);
  const ProfileScope profile("act_norm_scales", 2 * scales.bytes());
  const int64_t count = segments.size(0);
  launch(scales_kernel, grid_for(count, 1), kScaleThreads, 0, stream(), values.data<float>(),
         reinterpret_cast<const Segment*>(segments.data<int32_t>()), Segment{},
         static_cast<int>(count), kind, scales.data<float>(), log_scale_sums.data<double>());
}

void act_norm_parameters_backward(const Tensor& gamma, ActNormKind kind, const Tensor& grad_scale,
                                  const Tensor& grad_offset, const Tensor& grad_log_det,
                                  int64_t rows, const Tensor& grad_gamma,
                                  const Tensor& grad_offset_parameter) {
  check_act_norm_parameters(gamma, grad_scale, grad_offset, grad_log_det, grad_gamma,
                            grad_offset_parameter);
  expect_float("act_norm_parameters_backward", gamma);
  const ProfileScope profile("act_norm_parameters_backward",
                             3 * gamma.bytes() + grad_scale.bytes() + grad_offset.bytes());
  const ParameterGradients gradients{grad_scale.data<double>(),          grad_offset.data<double>(),
                                     grad_log_det.data<double>(),        grad_log_det.numel(),
                                     static_cast<double>(rows),          grad_gamma.data<float>(),
                                     grad_offset_parameter.data<float>()};
  launch(parameters_backward_kernel, grid_for(gamma.numel(), kThreads), kThreads, 0, stream(),
         gamma.data<float>(), gamma.numel(), kind, gradients);
}

}  // namespace pal::cuda
