#include "kernels/coupling/act_norm.h"

#include "kernels/coupling/act_norm_check.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

// Channels per task of the backward pass: a task owns its channels, so its sums need no tree.
constexpr int64_t kChannelBlock = 256;

/// to[row, c] = map(from[row, c], c) for all rows.
template <typename T, typename Map>
void map_rows(const Tensor& from, const Tensor& to, Map&& map) {
  const int64_t channels = from.channels();
  parallel_for(from.rows(), row_grain(channels), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* source = from.data<T>() + row * from.pitch();
      T* target = to.data<T>() + row * to.pitch();
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) target[c] = map(source[c], c);
    }
  });
}

}  // namespace

void act_norm_forward(const Tensor& x, const Tensor& scale, const Tensor& offset, const Tensor& y) {
  check_act_norm("act_norm_forward", x, y, scale, offset);
  const ProfileScope profile("act_norm_forward", 2 * x.bytes());
  dispatch_real("act_norm_forward", x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const T* s = scale.data<T>();
    const T* o = offset.data<T>();
    map_rows<T>(x, y,
                [=](T value, int64_t c) { return act_norm_math::forward(value, s[c], o[c]); });
  });
}

void act_norm_inverse(const Tensor& y, const Tensor& scale, const Tensor& offset, const Tensor& x) {
  check_act_norm("act_norm_inverse", y, x, scale, offset);
  const ProfileScope profile("act_norm_inverse", 2 * x.bytes());
  dispatch_real("act_norm_inverse", x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const T* s = scale.data<T>();
    const T* o = offset.data<T>();
    map_rows<T>(y, x,
                [=](T value, int64_t c) { return act_norm_math::inverse(value, s[c], o[c]); });
  });
}

void act_norm_backward(const Tensor& x, const Tensor& grad_y, const Tensor& scale,
                       const Tensor& grad_x, const Tensor& grad_scale, const Tensor& grad_offset) {
  check_act_norm_backward(x, grad_y, scale, grad_x, grad_scale, grad_offset);
  const ProfileScope profile("act_norm_backward", 3 * x.bytes());
  const int64_t channels = x.channels();
  const int64_t blocks = (channels + kChannelBlock - 1) / kChannelBlock;
  dispatch_real("act_norm_backward", x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    if (grad_x.defined()) {
      const T* s = scale.data<T>();
      map_rows<T>(grad_y, grad_x, [=](T value, int64_t c) { return value * s[c]; });
    }
    parallel_for(blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) {
        const int64_t first = block * kChannelBlock;
        const int64_t last = std::min(channels, first + kChannelBlock);
        double* sum_gx = grad_scale.data<double>();
        double* sum_g = grad_offset.data<double>();
        for (int64_t row = 0; row < x.rows(); ++row) {
          const T* value = x.data<T>() + row * x.pitch();
          const T* grad = grad_y.data<T>() + row * grad_y.pitch();
#pragma omp simd
          for (int64_t c = first; c < last; ++c) {
            sum_gx[c] += static_cast<double>(grad[c]) * static_cast<double>(value[c]);
            sum_g[c] += static_cast<double>(grad[c]);
          }
        }
      }
    });
  });
}

void act_norm_scale(const Tensor& gamma, ActNormKind kind, const Tensor& scale,
                    const Tensor& log_scale_sum) {
  check_act_norm_scale(gamma, scale, log_scale_sum);
  const ProfileScope profile("act_norm_scale", gamma.bytes() + scale.bytes());
  dispatch_real("act_norm_scale", gamma.dtype(), [&](auto typed) {
    using T = decltype(typed);
    double sum = 0.0;
    for (int64_t c = 0; c < gamma.numel(); ++c) {
      const double value =
          act_norm_math::scale_of(static_cast<double>(gamma.data<T>()[c]), kind).scale;
      scale.data<T>()[c] = static_cast<T>(value);
      sum += act_norm_math::log_scale(value, static_cast<double>(scale.data<T>()[c]));
    }
    log_scale_sum.data<double>()[0] = sum;
  });
}

void act_norm_scales(const Tensor& values, const Tensor& segments, ActNormKind kind,
                     const Tensor& scales, const Tensor& log_scale_sums) {
  check_act_norm_scales(values, segments, scales, log_scale_sums);
  const ProfileScope profile("act_norm_scales", 2 * scales.bytes());
  for (int64_t i = 0; i < segments.size(0); ++i) {
    const int32_t* segment = segments.data<int32_t>() + 3 * i;
    const Shape shape = {segment[2]};
    act_norm_scale(values.view_at(segment[0], shape), kind, scales.view_at(segment[1], shape),
                   log_scale_sums.view_at(i, {1}));
  }
}

void act_norm_parameters_backward(const Tensor& gamma, ActNormKind kind, const Tensor& grad_scale,
                                  const Tensor& grad_offset, const Tensor& grad_log_det,
                                  int64_t rows, const Tensor& grad_gamma,
                                  const Tensor& grad_offset_parameter) {
  check_act_norm_parameters(gamma, grad_scale, grad_offset, grad_log_det, grad_gamma,
                            grad_offset_parameter);
  const ProfileScope profile("act_norm_parameters_backward",
                             3 * gamma.bytes() + grad_scale.bytes() + grad_offset.bytes());
  double grad_log_scale = 0.0;
  for (int64_t n = 0; n < grad_log_det.numel(); ++n)
    grad_log_scale += grad_log_det.data<double>()[n];
  grad_log_scale *= static_cast<double>(rows);
  dispatch_real("act_norm_parameters_backward", gamma.dtype(), [&](auto typed) {
    using T = decltype(typed);
    for (int64_t c = 0; c < gamma.numel(); ++c) {
      const auto at = act_norm_math::scale_of(static_cast<double>(gamma.data<T>()[c]), kind);
      grad_gamma.data<T>()[c] += static_cast<T>(
          act_norm_math::gamma_gradient(at, grad_scale.data<double>()[c], grad_log_scale));
      grad_offset_parameter.data<T>()[c] += static_cast<T>(grad_offset.data<double>()[c]);
    }
  });
}

}  // namespace pal::cpu
