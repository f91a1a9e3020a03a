#pragma once
#include "runtime/tensor.h"

namespace pal {

/// log|det| per sample, in nats, of Haar downsampling of x [n, h, w, c]: h w c ln(rebalance)
/// (layers/models/README.md, 4).
double haar_log_det(const Shape& x, double rebalance);

// Haar downsampling, [n, h, w, c] <-> [n, h/2, w/2, 4c], h and w even. For a patch [a b; c d] of a
// channel the outputs are rebalance/2 times a+b+c+d, a-b+c-d, a+b-c-d, a-b-c+d; they lie ordered by
// wavelet: output channel = wavelet * channels + channel. f32 or f64 (a GPU: f32); arguments may be
// channel slices but must not overlap. Each runs on the device that holds its tensors, and on a
// meta device checks alone. Throws usage when shapes do not fit or rebalance is not positive.

/// Overwrites y [n, h/2, w/2, 4c] with the Haar transform of x [n, h, w, c]. Throws usage when
/// shapes do not fit.
void haar_forward(const Tensor& x, const Tensor& y, double rebalance);

/// Overwrites x [n, h, w, c] with what haar_forward made y [n, h/2, w/2, 4c] of. Throws usage when
/// shapes do not fit.
void haar_inverse(const Tensor& y, const Tensor& x, double rebalance);

/// Overwrites grad_x [n, h, w, c] with the transposed map of grad_y [n, h/2, w/2, 4c]. Throws usage
/// when shapes do not fit.
void haar_backward(const Tensor& grad_y, const Tensor& grad_x, double rebalance);

}  // namespace pal
