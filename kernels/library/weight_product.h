#pragma once
#include "runtime/tensor.h"

// The gradient of the weights of 1x1 convolutions in float32 on the CPU, as a product of our own:
// oneDNN's are made for matrices whose rows are as many as their columns, or want images in blocks of
// channels. Where it pays is measured in bench/NOTES.md, "Gradients of 1x1 weights".
namespace pal::cpu {

/// Whether the gradient of the weights of a convolution from x to y is faster so than the library's.
bool weight_product_pays(const Tensor& x, const Tensor& grad_y);

/// Bytes of scratch memory.
int64_t weight_product_scratch(int64_t rows, int64_t in, int64_t out);

/// Adds grad_y^T x to grad_weight [out, in]; x [rows, in] and grad_y [rows, out] are dense. The result
/// does not depend on the number of threads.
void weight_product(const Tensor& x, const Tensor& grad_y, const Tensor& grad_weight);

}  // namespace pal::cpu
