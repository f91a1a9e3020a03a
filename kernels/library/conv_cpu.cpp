#include "kernels/arrays/reduce.h"
#include "kernels/blocked/convolution.h"
#include "kernels/library/conv_check.h"
#include "kernels/library/conv_library.h"
#include "kernels/library/double_reference.h"
#include "kernels/library/gemm_bias.h"
#include "kernels/library/onednn.h"
#include "kernels/winograd/winograd.h"
#include "runtime/profiler.h"

// Convolutions on the CPU, each pass in the way that conv_way.h says.
namespace pal::cpu {
namespace {

Peak peak_of(DType dtype) { return dtype == DType::bf16 ? Peak::bf16 : Peak::f32; }

Tensor as_matrix(const Tensor& t) { return t.reshape({t.rows(), t.channels()}); }

blocked::Window window_of(const ConvGeometry& g) { return {g.kernel, g.stride, g.padding}; }

/// What the kernels of blocked/ take for a pass.
int64_t blocked_scratch(ConvPass pass, const Tensor& x, const Tensor& y, const ConvGeometry& g) {
  switch (pass) {
    case ConvPass::forward:
      return blocked::forward_scratch_bytes(x, y, window_of(g));
    case ConvPass::data:
      return blocked::data_scratch_bytes(x, y, window_of(g));
    case ConvPass::weight:
      return blocked::weight_scratch_bytes(x, y, window_of(g));
  }
  return 0;
}

int64_t winograd_scratch(ConvPass pass, const Tensor& x, const Tensor& y) {
  if (pass == ConvPass::weight) return winograd::weight_scratch_bytes(x, y);
  return pass == ConvPass::forward ? winograd::scratch_bytes(x, y) : winograd::scratch_bytes(y, x);
}

}  // namespace

int64_t conv_scratch(ConvPass pass, const Tensor& x, const Tensor& y, bool has_bias,
                     const ConvGeometry& g) {
  if (x.dtype() == DType::f64) return 0;
  switch (conv_way(pass, x, y, g)) {
    case ConvWay::library:
      return library_scratch(pass, x, y, has_bias, g);
    case ConvWay::product:
      return 0;  // of the library's products, no plan counts the little that they take
    case ConvWay::winograd:
      return winograd_scratch(pass, x, y);
    case ConvWay::blocked:
      return blocked_scratch(pass, x, y, g);
  }
  return 0;
}

void conv_forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& g,
                  WeightShadow& shadow, const Tensor& y) {
  check_convolution("conv_forward", x, weight, bias, y, g);
  const ProfileScope profile(g.kernel == 1 ? "conv1x1_forward" : "conv_forward",
                             x.bytes() + y.bytes() + weight.bytes(), convolution_flops(y, weight),
                             peak_of(x.dtype()));
  if (x.dtype() == DType::f64) {
    expect(double_reference().conv_forward != nullptr, "conv_forward: f64 is for test builds only");
    return double_reference().conv_forward(x, weight, bias, g, y);
  }
  switch (conv_way(ConvPass::forward, x, y, g)) {
    case ConvWay::library:
      return onednn::wrapped(
          "conv_forward", [&] { library_pass(ConvPass::forward, x, weight, bias, g, shadow, y); });
    case ConvWay::product:
      return gemm_bias(as_matrix(x), weight_matrix(weight, shadow, x.dtype()), bias, as_matrix(y),
                       {.transpose_b = true});
    case ConvWay::winograd:
      return winograd::forward(x, weight, bias, y);
    case ConvWay::blocked:
      return blocked::forward(x, weight, bias, window_of(g), y);
  }
}

void conv_backward_data(const Tensor& grad_y, const Tensor& weight, const ConvGeometry& g,
                        WeightShadow& shadow, const Tensor& grad_x) {
  check_convolution("conv_backward_data", grad_x, weight, {}, grad_y, g);
  const ProfileScope profile(g.kernel == 1 ? "conv1x1_backward_data" : "conv_backward_data",
                             grad_x.bytes() + grad_y.bytes() + weight.bytes(),
                             convolution_flops(grad_y, weight), peak_of(grad_x.dtype()));
  if (grad_x.dtype() == DType::f64) {
    expect(double_reference().conv_backward_data != nullptr,
           "conv_backward_data: f64 is for test builds only");
    return double_reference().conv_backward_data(grad_y, weight, g, grad_x);
  }
  switch (conv_way(ConvPass::data, grad_x, grad_y, g)) {
    case ConvWay::library:
      return onednn::wrapped("conv_backward_data", [&] {
        library_pass(ConvPass::data, grad_x, weight, {}, g, shadow, grad_y);
      });
    case ConvWay::product:
      return gemm_bias(as_matrix(grad_y), weight_matrix(weight, shadow, grad_x.dtype()), {},
                       as_matrix(grad_x), {});
    case ConvWay::winograd:
      return winograd::backward_data(grad_y, weight, grad_x);
    case ConvWay::blocked:
      return blocked::backward_data(grad_y, weight, window_of(g), grad_x);
  }
}

void conv_backward_weight(const Tensor& x, const Tensor& grad_y, const ConvGeometry& g,
                          const Tensor& grad_weight, const Tensor& grad_bias) {
  check_convolution("conv_backward_weight", x, grad_weight, grad_bias, grad_y, g);
  const ProfileScope profile(g.kernel == 1 ? "conv1x1_backward_weight" : "conv_backward_weight",
                             x.bytes() + grad_y.bytes() + grad_weight.bytes(),
                             convolution_flops(grad_y, grad_weight), peak_of(x.dtype()));
  if (x.dtype() == DType::f64) {
    expect(double_reference().conv_backward_weight != nullptr,
           "conv_backward_weight: f64 is for test builds only");
    return double_reference().conv_backward_weight(x, grad_y, g, grad_weight, grad_bias);
  }
  switch (conv_way(ConvPass::weight, x, grad_y, g)) {
    case ConvWay::library:
      return onednn::wrapped("conv_backward_weight", [&] {
        library_weight_gradient(x, grad_y, g, grad_weight, grad_bias);
      });
    case ConvWay::product:
      gemm_bias(as_matrix(grad_y), as_matrix(x), {},
                grad_weight.reshape({grad_weight.size(0), grad_weight.channels()}),
                {.transpose_a = true, .accumulate = true});
      break;
    case ConvWay::winograd:
      winograd::backward_weight(x, grad_y, grad_weight);
      break;
    case ConvWay::blocked:
      blocked::backward_weight(x, grad_y, window_of(g), grad_weight);
      break;
  }
  if (grad_bias.defined()) channel_sums(grad_y, grad_bias);
}

}  // namespace pal::cpu
