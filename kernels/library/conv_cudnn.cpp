#include <cublasLt.h>

#include "kernels/arrays/elementwise.h"
#include "kernels/arrays/reduce.h"
#include "kernels/common/gpu_dtypes.h"
#include "kernels/library/bias.h"
#include "kernels/library/conv_check.h"
#include "kernels/library/cuda_settings.h"
#include "kernels/library/cudnn_run.cuh"
#include "kernels/library/gemm_bias.h"
#include "kernels/library/platform.h"
#include "kernels/library/weight_copies.h"
#include "runtime/profiler.h"

namespace pal {

std::string cuda_library_versions() {
  const size_t lt = cublasLtGetVersion();
  return fmt::format("cuDNN {}, cuBLASLt {}.{}.{}", cudnn::version(), lt / 10000, lt / 100 % 100,
                     lt % 100);
}

namespace cuda {
namespace {

using cudnn::Pass;

cudnn::Problem problem_of(Pass pass, const Tensor& x, const Tensor& y, const ConvGeometry& g) {
  return {pass,
          x.shape(),
          y.shape(),
          g,
          x.dtype(),
          x.dtype(),
          cuda_math().tf32 && x.dtype() == DType::f32,
          cuda_math().allow_nondeterministic};
}

/// Calls body(problem, x, y) for all images, or for some at a time.
template <typename Body>
void for_images(const cudnn::Problem& all, const Tensor& x, const Tensor& y, Body&& body) {
  const int64_t most = cudnn::images_at_a_time(all);
  for (int64_t begin = 0; begin < x.size(0); begin += most) {
    const int64_t count = std::min(most, x.size(0) - begin);
    body(cudnn::with_images(all, count), x.slice_batch(begin, count), y.slice_batch(begin, count));
  }
}

void run(const cudnn::Problem& problem, const cudnn::Operands& operands) {
  std::string why;
  if (!cudnn::run(problem, operands, &why))
    fail(ErrorKind::failure, "{}: cuDNN {} has no engine for this: {}", problem.text(),
         cudnn::version(), why);
}

/// What a pass must at least move, and compute.
struct Cost {
  int64_t bytes, flops;
  Cost(const Tensor& x, const Tensor& weight, const Tensor& y)
      : bytes(x.bytes() + y.bytes() + weight.bytes()), flops(convolution_flops(y, weight)) {}
};

/// grad_weight += the gradient of some images: rounded to bf16 before it is added if they are bf16
/// and no engine writes f32 (cuDNN 9.19 has none).
void add_weight_gradient(cudnn::Problem problem, const Tensor& x, const Tensor& grad_y,
                         const Tensor& grad_weight) {
  const auto local = [&] {
    return Tensor::empty(grad_weight.shape(), problem.result, Tag::workspace, x.device());
  };
  problem.result = DType::f32;
  Tensor gradient = local();
  {
    const Cost cost(x, grad_weight, grad_y);
    const ProfileScope profile("conv_backward_weight", cost.bytes, cost.flops);
    std::string why;
    if (x.dtype() != DType::bf16 || !cudnn::run(problem, {x, gradient, grad_y}, &why)) {
      problem.result = x.dtype();
      gradient = {};  // before the next, so that one takes the other's memory
      gradient = local();
      run(problem, {x, gradient, grad_y});
    }
  }
  add_into(gradient, grad_weight);
}

}  // namespace

void conv_forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& g,
                  WeightShadow& shadow, const Tensor& y) {
  check_convolution("conv_forward", x, weight, bias, y, g);
  refuse_f64("conv_forward", x.dtype());
  const Cost cost(x, weight, y);
  const Tensor w = library_copy(weight, shadow, x.dtype());
  if (g.is_product()) {
    const ProfileScope profile("conv1x1_forward", cost.bytes, cost.flops);
    return gemm_bias(x, w, bias, y, {.transpose_b = true});
  }
  {
    const ProfileScope profile("conv_forward", cost.bytes, cost.flops);
    for_images(problem_of(Pass::forward, x, y, g), x, y,
               [&](const cudnn::Problem& problem, const Tensor& some_x, const Tensor& some_y) {
                 run(problem, {some_x, w, some_y});
               });
  }
  if (bias.defined()) add_bias(bias, y);
}

void conv_backward_data(const Tensor& grad_y, const Tensor& weight, const ConvGeometry& g,
                        WeightShadow& shadow, const Tensor& grad_x) {
  check_convolution("conv_backward_data", grad_x, weight, {}, grad_y, g);
  refuse_f64("conv_backward_data", grad_x.dtype());
  const Cost cost(grad_x, weight, grad_y);
  const Tensor w = library_copy(weight, shadow, grad_x.dtype());
  if (g.is_product()) {
    const ProfileScope profile("conv1x1_backward_data", cost.bytes, cost.flops);
    return gemm_bias(grad_y, w, {}, grad_x, {});
  }
  const ProfileScope profile("conv_backward_data", cost.bytes, cost.flops);
  for_images(problem_of(Pass::backward_data, grad_x, grad_y, g), grad_x, grad_y,
             [&](const cudnn::Problem& problem, const Tensor& some_x, const Tensor& some_y) {
               run(problem, {some_x, w, some_y});
             });
}

void conv_backward_weight(const Tensor& x, const Tensor& grad_y, const ConvGeometry& g,
                          const Tensor& grad_weight, const Tensor& grad_bias) {
  check_convolution("conv_backward_weight", x, grad_weight, grad_bias, grad_y, g);
  refuse_f64("conv_backward_weight", x.dtype());
  if (grad_bias.defined()) channel_sums(grad_y, grad_bias);
  if (g.is_product()) {
    const Cost cost(x, grad_weight, grad_y);
    const ProfileScope profile("conv1x1_backward_weight", cost.bytes, cost.flops);
    return gemm_bias(grad_y, x, {}, grad_weight, {.transpose_a = true, .accumulate = true});
  }
  for_images(problem_of(Pass::backward_weight, x, grad_y, g), x, grad_y,
             [&](const cudnn::Problem& problem, const Tensor& some_x, const Tensor& some_y) {
               add_weight_gradient(problem, some_x, some_y, grad_weight);
             });
}

}  // namespace cuda
}  // namespace pal
