#pragma once
#include "kernels/common/backend.h"
#include "kernels/coupling/coupling_math.h"

// Affine coupling with the act norm and the channel permutation that follow it, in one pass.
//
// Shapes: active  [n, h, w, ca]      the half that is transformed
//         passive [n, h, w, cp]      the half that is not; undefined for none
//         factors [n, h, w, 2 ca]    the subnet's output for the passive half: s, then t
//         y       [n, h, w, ca + cp]
//         log_det, grad_log_det      f64 [n], nats
// Stream tensors (active, passive, y and their gradients) are all f32 or all f64; factors are of
// the same dtype, or bf16 on an f32 stream. All images may be channel slices.
//
//   log_s      = clamp tanh(s_gain s) - log_s_shift
//   v_active   = x_active exp(log_s) + t_gain t
//   v_passive  = x_passive
//   y[.., i]   = scale[index[i]] v[.., index[i]] + offset[index[i]]
//   log_det    = sum of log_s over pixels and channels
//
// coupling_forward adds the act norm's own log-determinant, h w sum_c log scale_c, where it is given
// that sum; the inverse leaves it to the caller.
namespace pal {

/// How the two halves of a coupling, joined to v [n, h, w, c], become its output y: act norm scales
/// and shifts v channel by channel, then channel i of y is channel index[i] of the result.
struct OutputMap {
  /// Act norm's scale, [c] in the dtype of the stream; undefined together with `offset`: none.
  Tensor scale;
  /// Act norm's offset, [c] in the dtype of the stream.
  Tensor offset;
  /// The permutation of channels, i32 [c]; undefined together with `inverse_index`: none.
  Tensor index;
  /// inverse_index[index[i]] = i, i32 [c].
  Tensor inverse_index;
  /// Whether the active half comes first in v.
  bool active_first = false;
  /// f64 [n], subtracted from every log_s of a sample: the mean of log_s makes the coupling volume
  /// preserving (GIN, Sorrenson et al. 2020). Undefined: 0.
  Tensor log_s_shift;
  /// f64 [1], the sum of the logarithms of `scale`: coupling_forward adds it to log_det for every
  /// pixel. Undefined: left to the caller.
  Tensor log_scale_sum;
};

/// Where the gradients of a coupling go.
struct CouplingGrads {
  /// Gradient of the active half, overwritten.
  Tensor active;
  /// Gradient of the passive half, overwritten, without the part that passes through the subnet;
  /// undefined: not wanted.
  Tensor passive;
  /// Gradient of the factors in their dtype, overwritten, without the part that flows through
  /// log_s_shift.
  Tensor factors;
  /// Gradient of act norm's scale, f64 [c], added to, without the log-determinant's part;
  /// undefined together with `offset`: not wanted.
  Tensor scale;
  /// Gradient of act norm's offset, f64 [c], added to.
  Tensor offset;
  /// Sum of the gradients of a sample's log_s, f64 [n], overwritten; undefined: not wanted.
  Tensor log_s;
  /// Gradient of the factors summed over all pixels, f32 (or f64 on the CPU) [2 ca], added to: that
  /// of the bias of the subnet's last convolution. On the GPU of the values before they are rounded
  /// to the factors' dtype. Without the part that flows through log_s_shift, like `factors`;
  /// undefined: not wanted.
  Tensor factor_sums;
};

/// Overwrites mean, f64 [n], with each sample's mean of clamp tanh(s_gain s): as log_s_shift it
/// makes the coupling volume preserving.
PAL_KERNEL(void coupling_mean_log_s(const Tensor& factors, const CouplingGains& gains,
                                    const Tensor& mean))

/// Completes the gradient of the factors where log_s_shift comes from coupling_mean_log_s: adds to
/// that of every s what flows through the mean. grad_log_s, f64 [n], is CouplingGrads::log_s.
PAL_KERNEL(void coupling_mean_log_s_backward(const Tensor& factors, const CouplingGains& gains,
                                             const Tensor& grad_log_s, const Tensor& grad_factors))

/// The coupling of both halves: overwrites y and adds sum(log_s) to log_det.
PAL_KERNEL(void coupling_forward(const Tensor& active, const Tensor& passive, const Tensor& factors,
                                 const CouplingGains& gains, const OutputMap& map, const Tensor& y,
                                 const Tensor& log_det))

/// The first step of the inverse, which needs no subnet: overwrites the passive half, read from y.
PAL_KERNEL(void coupling_inverse_passive(const Tensor& y, const OutputMap& map,
                                         const Tensor& passive))

/// The second step of the inverse, with the factors that the subnet gives for the passive half:
/// overwrites the active half; subtracts sum(log_s) from log_det if that is defined.
PAL_KERNEL(void coupling_inverse(const Tensor& y, const Tensor& factors, const CouplingGains& gains,
                                 const OutputMap& map, const Tensor& active, const Tensor& log_det))

/// Inverse and backward in one pass over y, grad_y and the factors: overwrites the active half with
/// the rebuilt one and fills the gradients. No stored input is needed: v is rebuilt on the way.
PAL_KERNEL(void coupling_inverse_backward(const Tensor& y, const Tensor& grad_y,
                                          const Tensor& grad_log_det, const Tensor& factors,
                                          const CouplingGains& gains, const OutputMap& map,
                                          const Tensor& active, const CouplingGrads& grads))

/// Backward in one pass over the stored halves, grad_y and the factors: fills the gradients.
PAL_KERNEL(void coupling_backward(const Tensor& active, const Tensor& passive, const Tensor& grad_y,
                                  const Tensor& grad_log_det, const Tensor& factors,
                                  const CouplingGains& gains, const OutputMap& map,
                                  const CouplingGrads& grads))

}  // namespace pal
