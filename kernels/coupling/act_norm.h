#pragma once
#include "kernels/common/backend.h"
#include "kernels/coupling/act_norm_math.h"

// Act norm alone (inside coupling blocks it rides in the coupling kernels):
//   y[.., c] = x[.., c] scale[c] + offset[c]
// x and y [.., channels] in f32 or f64, maybe channel slices; scale and offset [channels] in the
// same dtype. log|det| per sample, in nats, is left to the caller: rows per sample times sum_c log
// scale_c. Throws usage when shapes do not fit or there is no row.
namespace pal {

/// Overwrites y, which may be x, with x scale + offset.
PAL_KERNEL(void act_norm_forward(const Tensor& x, const Tensor& scale, const Tensor& offset,
                                 const Tensor& y))

/// Overwrites x, which may be y, with (y - offset) / scale.
PAL_KERNEL(void act_norm_inverse(const Tensor& y, const Tensor& scale, const Tensor& offset,
                                 const Tensor& x))

/// The gradients of act_norm_forward: overwrites grad_x (undefined: not wanted) with grad_y scale;
/// adds the sums over rows of grad_y x to grad_scale and of grad_y to grad_offset, f64 [channels].
PAL_KERNEL(void act_norm_backward(const Tensor& x, const Tensor& grad_y, const Tensor& scale,
                                  const Tensor& grad_x, const Tensor& grad_scale,
                                  const Tensor& grad_offset))

/// From the parameter gamma [channels] (f32 or f64): overwrites scale [channels] (dtype of gamma)
/// and log_scale_sum, f64 [1], with sum_c log scale_c, which is not finite if a scale is not
/// positive.
PAL_KERNEL(void act_norm_scale(const Tensor& gamma, ActNormKind kind, const Tensor& scale,
                               const Tensor& log_scale_sum))

/// act_norm_scale of several act norms whose gammas lie in one buffer `values` (f32 or f64, any
/// number of elements): row i of `segments`, i32 [count, 3], says where the gamma of the i-th
/// begins in `values` and its scale in `scales` (dtype of values), and how many channels it has.
/// Overwrites those parts of `scales` and log_scale_sums, f64 [count].
PAL_KERNEL(void act_norm_scales(const Tensor& values, const Tensor& segments, ActNormKind kind,
                                const Tensor& scales, const Tensor& log_scale_sums))

/// Adds to grad_gamma and grad_offset_parameter [channels] (dtype of gamma), given grad_scale and
/// grad_offset, f64 [channels], and the gradient of each sample's log-determinant, f64 [n], which
/// holds `rows` times log_scale_sum.
PAL_KERNEL(void act_norm_parameters_backward(const Tensor& gamma, ActNormKind kind,
                                             const Tensor& grad_scale, const Tensor& grad_offset,
                                             const Tensor& grad_log_det, int64_t rows,
                                             const Tensor& grad_gamma,
                                             const Tensor& grad_offset_parameter))

}  // namespace pal
