#include "kernels/resample/haar.h"

#include <cmath>

#include "kernels/resample/haar_backend.h"
#include "kernels/resample/haar_math.h"
#include "kernels/resample/patch_check.h"
#include "runtime/profiler.h"

namespace pal {
namespace {

/// The door of all three: checks, counts and passes on to the backend that holds the tensors.
template <typename Kernel>
void run(const char* op, const Tensor& fine, const Tensor& coarse, double rebalance,
         Kernel&& kernel) {
  check_patches(op, "transform", fine, coarse);
  if (!(rebalance > 0.0) || !std::isfinite(rebalance))
    fail(ErrorKind::usage, "{}: expected a positive rebalance, got {}", op, rebalance);
  if (fine.device().meta) return;
  if (fine.device().is_cuda() && fine.dtype() != DType::f32)
    fail(ErrorKind::usage, "{}: {} streams are for the CPU backend", op, name_of(fine.dtype()));
  const ProfileScope scope(op, fine.bytes() + coarse.bytes(), 3 * fine.numel());
  kernel();
}

}  // namespace

double haar_log_det(const Shape& x, double rebalance) {
  expect(x.rank() == 4 && rebalance > 0.0,
         "haar_log_det: expected 4 extents and a positive rebalance, got {} and {}", x.str(),
         rebalance);
  return static_cast<double>(x[1] * x[2] * x[3]) * std::log(rebalance);
}

void haar_forward(const Tensor& x, const Tensor& y, double rebalance) {
  run("haar_forward", x, y, rebalance,
      [&] { PAL_BACKEND(x, haar_analyse(x, y, haar_math::forward_factor(rebalance))); });
}

void haar_inverse(const Tensor& y, const Tensor& x, double rebalance) {
  run("haar_inverse", x, y, rebalance,
      [&] { PAL_BACKEND(y, haar_synthesise(y, x, haar_math::inverse_factor(rebalance))); });
}

void haar_backward(const Tensor& grad_y, const Tensor& grad_x, double rebalance) {
  run("haar_backward", grad_x, grad_y, rebalance, [&] {
    PAL_BACKEND(grad_y, haar_synthesise(grad_y, grad_x, haar_math::forward_factor(rebalance)));
  });
}

}  // namespace pal
