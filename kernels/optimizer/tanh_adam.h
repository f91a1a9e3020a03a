#pragma once
#include "kernels/common/backend.h"

namespace pal {

/// The numbers of one step of Adam (Kingma and Ba 2015), for all samples.
struct AdamNumbers {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double correction1 = 1.0;  ///< 1 - beta1^t in step t = 1, 2, ...
  double correction2 = 1.0;  ///< 1 - beta2^t
};

/// Overwrites x [n, d] with the images of v [n, d], x = (tanh(v) + 1) / 2, which lie in [0, 1]
/// (Carlini and Wagner 2017). Both dense, in one dtype of f32 or f64.
PAL_KERNEL(void tanh_images(const Tensor& v, const Tensor& x))

/// A step of Adam on v, of the squared distance to `original` plus a function whose gradient with
/// respect to x is `grad`:
///   g = (grad + 2 (x - original)) dx/dv
///   first  += (1 - beta1) (g - first)
///   second  = beta2 second + (1 - beta2) g^2
///   v -= rates / correction1 * first / (sqrt(second / correction2) + epsilon)
/// with the rate of each sample, rates f64 [n]; a sample of rate 0 stays as it is, moments included.
/// Updates v, both moments and x, which holds the images of v before and after. All [n, d] are dense,
/// in one dtype of f32 or f64. Throws usage when shapes do not fit.
PAL_KERNEL(void tanh_adam_step(const Tensor& v, const Tensor& first, const Tensor& second,
                               const Tensor& grad, const Tensor& original, const Tensor& rates,
                               const AdamNumbers& numbers, const Tensor& x))

}  // namespace pal
