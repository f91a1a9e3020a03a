#include "kernels/act_norm.h"

#include <vector>

#include "kernels/check.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

// Channels per task of the backward pass: a task owns its channels, so its sums need no tree.
constexpr int64_t kChannelBlock = 256;

void check(const char* op, const Tensor& x, const Tensor& y, const Tensor& scale,
           const Tensor& offset) {
  expect(x.defined() && x.rows() > 0, "{}: expected at least one row, got {}", op,
         x.defined() ? x.shape().str() : "nothing");
  expect_tensor(op, "y", y, x.shape(), x.dtype());
  expect_tensor(op, "scale", scale, {x.channels()}, x.dtype());
  expect_tensor(op, "offset", offset, {x.channels()}, x.dtype());
}

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
  check("act_norm_forward", x, y, scale, offset);
  const ProfileScope profile("act_norm_forward", 2 * x.bytes());
  dispatch_real("act_norm_forward", x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const T* s = scale.data<T>();
    const T* o = offset.data<T>();
    map_rows<T>(x, y, [=](T value, int64_t c) { return value * s[c] + o[c]; });
  });
}

void act_norm_inverse(const Tensor& y, const Tensor& scale, const Tensor& offset, const Tensor& x) {
  check("act_norm_inverse", y, x, scale, offset);
  const ProfileScope profile("act_norm_inverse", 2 * x.bytes());
  dispatch_real("act_norm_inverse", x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const T* s = scale.data<T>();
    const T* o = offset.data<T>();
    map_rows<T>(y, x, [=](T value, int64_t c) { return (value - o[c]) / s[c]; });
  });
}

void act_norm_backward(const Tensor& x, const Tensor& grad_y, const Tensor& scale,
                       const Tensor& grad_x, const Tensor& grad_scale, const Tensor& grad_offset) {
  check("act_norm_backward", x, grad_y, scale, scale);
  expect_tensor("act_norm_backward", "grad_scale", grad_scale, scale.shape(), DType::f64);
  expect_tensor("act_norm_backward", "grad_offset", grad_offset, scale.shape(), DType::f64);
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

}  // namespace pal::cpu
