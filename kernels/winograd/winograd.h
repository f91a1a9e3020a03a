#pragma once
#include "runtime/tensor.h"

// 3x3 convolutions with stride 1 and one pixel of padding, in float32 on the CPU, by fewer
// multiplications: 36 products for a tile of 4x4 pixels instead of 144 (winograd_math.h). Where that
// pays is measured in bench/NOTES.md, "Fewer multiplications".
//
// Tensors are dense, as conv.h has them, and not empty; x and y may be on a meta device where only sizes
// are asked for. Results do not depend on the number of threads, nor on the other images of a batch.
// The error of a pixel is relative to the largest of its tile and the pixels around it, and a value
// that is not finite there makes all of the tile NaN.
namespace pal::winograd {

/// Whether a convolution from x [n, h, w, in] to y [n, h, w, out] is faster so than the library's. For
/// the gradient of x, x is grad_y and y is grad_x.
bool pays(const Tensor& x, const Tensor& y);
/// Whether the gradient of its weights is.
bool pays_for_weights(const Tensor& x, const Tensor& y);

/// Bytes of scratch memory, for the present number of threads.
int64_t scratch_bytes(const Tensor& x, const Tensor& y);
int64_t weight_scratch_bytes(const Tensor& x, const Tensor& y);

/// Overwrites y with conv(x, weight) + bias; weight [out, 3, 3, in], bias [out] or undefined.
void forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& y);
/// Overwrites grad_x of the same convolution.
void backward_data(const Tensor& grad_y, const Tensor& weight, const Tensor& grad_x);
/// Adds the gradient of the weights to grad_weight.
void backward_weight(const Tensor& x, const Tensor& grad_y, const Tensor& grad_weight);

}  // namespace pal::winograd
