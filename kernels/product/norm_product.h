#pragma once
#include "kernels/norm/batch_norm.h"

// Batch norm, ReLU and a product with a matrix (a 1x1 convolution) in one pass over x: the
// normalised values h = relu?((x - mean) inv_std weight + bias) are made on their way into the
// product, rounded as batch_norm_forward rounds them, and never stored.
namespace pal {

/// Whether norm_product_forward and norm_product_weight_gradient take these rows x [.., in] and
/// this number of results. On a CPU (the plain kernels one after the other) any; on a GPU x in f32
/// or bf16 with rows that 16-byte accesses can read, and channels in multiples of 8, at most 1024
/// of them in.
bool has_norm_product(const Tensor& x, int64_t out);

/// Overwrites y [.., out] with h weight^T + bias for all rows of x [.., in] (may be a channel
/// slice). `norm` has the batch norm's numbers, `relu` says whether a ReLU follows it. y is dense,
/// in bf16 or, on a CPU alone, of x's dtype; weight [out, .., in] in f32, bf16 or f64, rounded to y's
/// dtype; bias f32 or f64 [out] (undefined: none). Sums in float32 at least. If `sums` (f64
/// [2, out]) is defined, the sums of y, as rounded, and of its squares are added to it: what
/// batch_norm_sums adds with a shift of zero. Throws usage for arguments that do not fit or that
/// has_norm_product does not take. Does nothing on a meta device.
void norm_product_forward(const Tensor& x, const BatchNormArgs& norm, bool relu,
                          const Tensor& weight, const Tensor& bias, const Tensor& y,
                          const Tensor& sums = {});

/// The gradient of norm_product_forward's weight: adds grad_y^T h to grad_weight [out, .., in] (f32,
/// or f64 for an f64 x), with h made again. grad_y [.., out] as y. Sums over some thousand rows in
/// float32, those in double, in an order that the shapes fix.
void norm_product_weight_gradient(const Tensor& x, const BatchNormArgs& norm, bool relu,
                                  const Tensor& grad_y, const Tensor& grad_weight);

}  // namespace pal
