#include "kernels/optimizer/tanh_adam.h"

#include "kernels/optimizer/tanh_adam_check.h"
#include "kernels/optimizer/tanh_adam_math.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

/// Elements, exponential functions among them, that are worth a thread.
constexpr int64_t kTanhGrain = 4096;

}  // namespace

void tanh_images(const Tensor& v, const Tensor& x) {
  check_tanh_images(v, x);
  const ProfileScope scope("tanh_images", v.bytes() + x.bytes(), 4 * v.numel());
  dispatch_real("tanh_images", v.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const T* const from = v.data<T>();
    T* const to = x.data<T>();
    parallel_for(v.numel(), kTanhGrain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = tanh_adam_math::image_of(from[i]);
    });
  });
}

void tanh_adam_step(const Tensor& v, const Tensor& first, const Tensor& second, const Tensor& grad,
                    const Tensor& original, const Tensor& rates, const AdamNumbers& numbers,
                    const Tensor& x) {
  check_tanh_adam_step(v, first, second, grad, original, rates, x);
  const ProfileScope scope("tanh_adam_step", 10 * v.bytes(), 24 * v.numel());
  dispatch_real("tanh_adam_step", v.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const int64_t width = v.size(1);
    T* const values = v.data<T>();
    T* const means = first.data<T>();
    T* const squares = second.data<T>();
    T* const images = x.data<T>();
    const T* const gradients = grad.data<T>();
    const T* const originals = original.data<T>();
    const tanh_adam_math::StepNumbers<T> own(numbers);
    parallel_for(v.numel(), kTanhGrain, [&](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end;) {
        const int64_t sample = at / width;
        const int64_t stop = std::min(end, (sample + 1) * width);
        const double rate = rates.data<double>()[sample];
        const T step_size = own.step_size(rate);
        if (rate != 0.0)
          for (int64_t i = at; i < stop; ++i)
            tanh_adam_math::step(values[i], means[i], squares[i], images[i], gradients[i],
                                 originals[i], own, step_size);
        at = stop;
      }
    });
  });
}

}  // namespace pal::cpu
