#include "kernels/optimizer/optimizer.h"

#include "kernels/optimizer/optimizer_check.h"
#include "kernels/optimizer/optimizer_math.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

constexpr int64_t kGrain = 16384;

}  // namespace

void sgd_step(const Tensor& parameters, const Tensor& grad, const Tensor& buffer,
              const Tensor& controls) {
  check_sgd_step(parameters, grad, buffer, controls);
  const ProfileScope scope("sgd_step", 5 * parameters.bytes(), 6 * parameters.numel());
  dispatch_real("sgd_step", parameters.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const optimizer_math::UpdateNumbers<T> numbers(controls.data<double>());
    if (numbers.skipped()) return;
    T* __restrict values = parameters.data<T>();
    const T* __restrict gradients = grad.data<T>();
    T* __restrict momenta = buffer.data<T>();
    parallel_for(parameters.numel(), kGrain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        optimizer_math::sgd(values[i], momenta[i], gradients[i], numbers);
    });
  });
}

void adamw_step(const Tensor& parameters, const Tensor& grad, const Tensor& first,
                const Tensor& second, const Tensor& controls) {
  check_adamw_step(parameters, grad, first, second, controls);
  const ProfileScope scope("adamw_step", 7 * parameters.bytes(), 14 * parameters.numel());
  dispatch_real("adamw_step", parameters.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const optimizer_math::UpdateNumbers<T> numbers(controls.data<double>());
    if (numbers.skipped()) return;
    T* __restrict values = parameters.data<T>();
    const T* __restrict gradients = grad.data<T>();
    T* __restrict means = first.data<T>();
    T* __restrict squares = second.data<T>();
    parallel_for(parameters.numel(), kGrain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        optimizer_math::adamw(values[i], means[i], squares[i], gradients[i], numbers);
    });
  });
}

void average_step(const Tensor& average, const Tensor& values, const Tensor& rate) {
  check_average_step(average, values, rate);
  const ProfileScope scope("average_step", 3 * average.bytes(), 3 * average.numel());
  dispatch_real("average_step", average.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const T step = static_cast<T>(rate.data<double>()[0]);
    if (step != step) return;
    T* __restrict averages = average.data<T>();
    const T* __restrict news = values.data<T>();
    parallel_for(average.numel(), kGrain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) averages[i] += step * (news[i] - averages[i]);
    });
  });
}

}  // namespace pal::cpu
