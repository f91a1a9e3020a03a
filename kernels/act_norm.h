#pragma once
#include "kernels/backend.h"

// Act norm alone, y[.., c] = x[.., c] scale[c] + offset[c] (inside coupling blocks it rides in the
// coupling kernels). x and y [.., channels] in f32 or f64, maybe channel slices; scale and offset
// [channels] in the same dtype. log|det| per sample is left to the caller: rows per sample times
// sum_c log scale_c. Throws usage when shapes do not fit or there is no row.
namespace pal::cpu {

/// Overwrites y, which may be x.
void act_norm_forward(const Tensor& x, const Tensor& scale, const Tensor& offset, const Tensor& y);

/// Overwrites x, which may be y, with (y - offset) / scale.
void act_norm_inverse(const Tensor& y, const Tensor& scale, const Tensor& offset, const Tensor& x);

/// Overwrites grad_x (undefined: not wanted) with grad_y scale; adds sum(grad_y x) to grad_scale
/// and sum(grad_y) to grad_offset, f64 [channels].
void act_norm_backward(const Tensor& x, const Tensor& grad_y, const Tensor& scale,
                       const Tensor& grad_x, const Tensor& grad_scale, const Tensor& grad_offset);

}  // namespace pal::cpu
