#pragma once
#include "kernels/common/backend.h"
#include "kernels/coupling/coupling_math.h"

namespace pal {

/// How the halves of a coupling become its output. The concatenation v holds the active
/// (transformed) half and the passive one; act norm scales and shifts it channel by channel, then
/// channel i of the output is channel index[i] of the result.
struct CouplingOutput {
  /// Act norm, one value per channel of v, dtype of the stream; both undefined: none.
  Tensor scale;
  Tensor offset;
  /// i32 [channels] and its inverse permutation; both undefined: no permutation.
  Tensor index;
  Tensor inverse_index;
  /// Whether the active half comes first in v.
  bool active_first = false;
  /// f64 [n], subtracted from every log_s of a sample: the mean of log_s makes the coupling volume
  /// preserving (GIN, Sorrenson et al. 2020). Undefined: 0.
  Tensor log_s_shift;
};

/// Where the gradients of a coupling go.
struct CouplingGrads {
  Tensor active;  ///< overwritten
  Tensor
      passive;  ///< overwritten: the part that does not pass through the subnet; may be undefined
  Tensor a;     ///< overwritten, dtype of a; without the part that flows through log_s_shift
  Tensor
      scale;  ///< f64 [channels], added to (without the log-determinant's part); may be undefined
  Tensor offset;  ///< f64 [channels], added to; undefined with scale
  Tensor log_s;   ///< f64 [n], overwritten with the sum of the gradients of log_s; may be undefined
};

// Shapes: active [n, h, w, ca]; passive [n, h, w, cp], undefined for none; a = subnet output
// [n, h, w, 2 ca], first half s, second half t (f32, bf16 or f64); y [n, h, w, ca + cp]; log_det
// and grad_log_det f64 [n]. Stream tensors are all f32 or all f64 and may be channel slices.
//   log_s = clamp tanh(s_gain s);  v_active = x_active exp(log_s) + t_gain t;  v_passive =
//   x_passive y[i] = scale[index[i]] v[index[i]] + offset[index[i]];  log_det = sum log_s
// The act norm's own log-determinant, h w sum_c log scale_c, is left to the caller: it is the same
// for all samples.

/// Mean of log_s over a sample, for CouplingOutput::log_s_shift. Overwrites mean, f64 [n].
PAL_KERNEL(void coupling_mean_log_s(const Tensor& a, const CouplingGains& gains,
                                    const Tensor& mean))

/// Completes the gradient of a where log_s_shift is the mean of log_s: subtracts from the gradient
/// of every s what the mean of the gradients of log_s (`grad_log_s` / values per sample)
/// contributes.
PAL_KERNEL(void coupling_mean_log_s_backward(const Tensor& a, const CouplingGains& gains,
                                             const Tensor& grad_log_s, const Tensor& grad_a))

/// Overwrites y; adds sum(log_s) to log_det.
PAL_KERNEL(void coupling_forward(const Tensor& active, const Tensor& passive, const Tensor& a,
                                 const CouplingGains& gains, const CouplingOutput& output,
                                 const Tensor& y, const Tensor& log_det))

/// Reads the passive half back from y: overwrites `passive`.
PAL_KERNEL(void coupling_inverse_passive(const Tensor& y, const CouplingOutput& output,
                                         const Tensor& passive))

/// With the subnet's output for the passive half, reads the active half back: overwrites `active`;
/// subtracts sum(log_s) from log_det if that is defined.
PAL_KERNEL(void coupling_inverse(const Tensor& y, const Tensor& a, const CouplingGains& gains,
                                 const CouplingOutput& output, const Tensor& active,
                                 const Tensor& log_det))

/// Inverse and backward in one pass over y, grad_y and a: overwrites `active` with the rebuilt half
/// and fills the gradients. grad_scale needs no stored input: v is rebuilt on the way.
PAL_KERNEL(void coupling_inverse_backward(const Tensor& y, const Tensor& grad_y,
                                          const Tensor& grad_log_det, const Tensor& a,
                                          const CouplingGains& gains, const CouplingOutput& output,
                                          const Tensor& active, const CouplingGrads& grads))

/// Backward from stored inputs, in one pass.
PAL_KERNEL(void coupling_backward(const Tensor& active, const Tensor& passive, const Tensor& grad_y,
                                  const Tensor& grad_log_det, const Tensor& a,
                                  const CouplingGains& gains, const CouplingOutput& output,
                                  const CouplingGrads& grads))

}  // namespace pal
