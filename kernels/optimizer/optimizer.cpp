#include "kernels/optimizer/optimizer.h"

#include "kernels/optimizer/optimizer_check.h"
#include "kernels/optimizer/optimizer_math.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {

void sgd_step(const Tensor& parameters, const Tensor& grad, const Tensor& buffer,
              const Tensor& controls) {
  check_sgd_step(parameters, grad, buffer, controls);
  const ProfileScope scope("sgd_step", 5 * parameters.bytes(), 6 * parameters.numel());
  dispatch_real("sgd_step", parameters.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const optimizer_math::SgdNumbers<T> numbers(controls.data<double>());
    if (numbers.halted()) return;
    T* __restrict values = parameters.data<T>();
    const T* __restrict gradients = grad.data<T>();
    T* __restrict momenta = buffer.data<T>();
    parallel_for(parameters.numel(), 16384, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        optimizer_math::sgd(values[i], momenta[i], gradients[i], numbers);
    });
  });
}

void sgd_clip(const Tensor& squared_norms, double clip_norm, const Tensor& controls,
              const Tensor& halted) {
  check_sgd_clip(squared_norms, clip_norm, controls, halted);
  const ProfileScope scope("sgd_clip", squared_norms.bytes() + controls.bytes());
  optimizer_math::clip(squared_norms.data<double>(), clip_norm, controls.data<double>(),
                       halted.data<double>());
}

}  // namespace pal::cpu
