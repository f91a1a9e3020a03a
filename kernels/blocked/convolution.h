#pragma once
#include "runtime/tensor.h"

// Convolutions in float32 on the CPU as products of matrices whose rows are gathered while they are
// packed (implicit GEMM), for processors on which oneDNN's reach less (bench/NOTES.md, "Products of our
// own"). Pixels outside of an image count as zeros, times weights that must be finite. Tensors as conv.h has
// them, dense. Results depend on neither the number of threads nor, but for
// gradients of weights, the other images of a batch.
namespace pal::blocked {

/// A square kernel, in pixels.
struct Window {
  int64_t kernel, stride, padding;
};

/// Overwrites y with conv(x, weight) + bias; weight [out, kernel, kernel, in], bias [out] or undefined.
void forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const Window& window,
             const Tensor& y);
/// Overwrites grad_x of the same convolution.
void backward_data(const Tensor& grad_y, const Tensor& weight, const Window& window,
                   const Tensor& grad_x);
/// Adds the gradient of the weights to grad_weight.
void backward_weight(const Tensor& x, const Tensor& grad_y, const Window& window,
                     const Tensor& grad_weight);

/// Bytes of scratch memory, for the present number of threads; x and y, or their gradients, may be on a
/// meta device.
int64_t forward_scratch_bytes(const Tensor& x, const Tensor& y, const Window& window);
int64_t data_scratch_bytes(const Tensor& grad_x, const Tensor& grad_y, const Window& window);
int64_t weight_scratch_bytes(const Tensor& x, const Tensor& grad_y, const Window& window);

}  // namespace pal::blocked
