#include "kernels/optimizer.h"

#include "kernels/check.h"
#include "kernels/optimizer_math.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {

void sgd_step(const Tensor& parameters, const Tensor& grad, const Tensor& buffer,
              const SgdStep& step) {
  const char* op = "sgd_step";
  expect_tensor(op, "gradient", grad, parameters.shape(), parameters.dtype());
  expect_tensor(op, "buffer", buffer, parameters.shape(), parameters.dtype());
  expect_dense(op, "parameters", parameters);
  expect_dense(op, "gradient", grad);
  expect_dense(op, "buffer", buffer);
  const ProfileScope scope(op, 5 * parameters.bytes(), 6 * parameters.numel());
  dispatch_real(op, parameters.dtype(), [&](auto typed) {
    using T = decltype(typed);
    T* __restrict values = parameters.data<T>();
    const T* __restrict gradients = grad.data<T>();
    T* __restrict momenta = buffer.data<T>();
    const auto rate = static_cast<T>(step.learning_rate);
    const auto momentum = static_cast<T>(step.momentum);
    const auto decay = static_cast<T>(step.weight_decay);
    const auto grad_scale = static_cast<T>(step.grad_scale);
    parallel_for(parameters.numel(), 16384, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        optimizer_math::sgd(values[i], momenta[i], gradients[i], rate, momentum, decay, grad_scale);
    });
  });
}

}  // namespace pal::cpu
