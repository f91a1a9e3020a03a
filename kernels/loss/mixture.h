#pragma once
#include "kernels/common/backend.h"

namespace pal {

/// Class means of the latent mixture (layers/models/README.md, 7),
///   mu_y = (mean_y, sum_k alpha_yk prototypes_k).
/// Without alpha and prototypes `mean` covers all dimensions (full rank). All in one dtype, dense.
struct MixtureMeans {
  Tensor mean;        ///< [classes, d_mean]
  Tensor alpha;       ///< [classes, rank], or undefined
  Tensor prototypes;  ///< [rank, d - d_mean], or undefined
  /// i32 [p], p <= d_mean, or undefined: the first p entries of z count in the order
  /// z_mean[i] = z[permutation[i]].
  Tensor permutation;
  /// The inverse of `permutation`, i32 [p], or undefined with it.
  Tensor inverse_permutation;

  bool low_rank() const { return alpha.defined(); }
  int64_t classes() const { return mean.size(0); }
  int64_t mean_size() const { return mean.size(1); }
};

/// What mixture_scores keeps for mixture_backward, which is given the same z and means. Its tensors
/// are made by mixture_scores and reused while shapes stay.
struct MixtureState {
  Tensor z_mean;      ///< [n, d_mean]: z's mean part in their order (a view if unpermuted)
  Tensor projection;  ///< [n, rank]: z_rest prototypes^T
  Tensor gram;        ///< [rank, rank]: prototypes prototypes^T
  Tensor alpha_gram;  ///< [classes, rank]: alpha gram
  Tensor half_norms;  ///< f64 [classes]: ||mu_y||^2 / 2
  /// gram, alpha_gram and half_norms, which follow from the means alone, are those of the means given:
  /// mixture_scores leaves them as they are.
  bool norms_known = false;
};

/// Weights of the training loss, the mean over the batch of
///   density * nll_joint + classes * cross_entropy.
struct MixtureWeights {
  double density = 1.0;  ///< of nll_joint, in nats per dimension
  double classes = 0.0;  ///< of cross_entropy, in nats
};

/// Outputs of mixture_losses (formulas: mixture_math.h), all overwritten. An undefined one is left
/// out.
struct MixtureLosses {
  Tensor nll_joint;      ///< f64 [n]: -log p(x), nats per dimension, up to a constant
  Tensor nll_class;      ///< f64 [n]: -log p(x | target), nats per dimension, up to a constant
  Tensor cross_entropy;  ///< f64 [n]: of p(y | x) against the targets, nats
  Tensor grad_scores;    ///< [n, classes], dtype of the scores: of the training loss
};

/// Where the gradients of MixtureMeans go, of the shapes and dtype of those, all added to. An
/// undefined one is left out.
struct MixtureGrads {
  Tensor mean;
  Tensor alpha;
  Tensor prototypes;
};

/// The training loss's derivative with respect to a sample's ||z||^2 / 2, which is minus that with
/// respect to its log_det: density / (n dims).
double mixture_density_gradient(const MixtureWeights& weights, int64_t batch, int64_t dims);

/// How far the class means lie apart: the mean of ||mu_i - mu_j|| over ordered pairs of classes, in
/// double; 0 for one class. Waits for the device.
double mean_distance(const MixtureMeans& means);

// z [n, d] in f32 or f64 (f64 in test builds only, see gemm.h); rows may be a slice. No class mean
// is ever spelled out over the low-rank dimensions. Throws usage when shapes do not fit or the
// batch is empty.

/// Overwrites scores [n, classes] with
///   l_y = <z, mu_y> - ||mu_y||^2 / 2 = -||z - mu_y||^2 / 2 + ||z||^2 / 2
/// and fills `state`.
PAL_KERNEL(void mixture_scores(const Tensor& z, const MixtureMeans& means, const Tensor& scores,
                               MixtureState& state))

/// Overwrites `losses` with each sample's losses and the gradient of the training loss with respect
/// to the scores. half_norm (half_squared_norm of z) and log_det, in nats, are f64 [n]; targets
/// [n, classes] are soft labels in the dtype of the scores; dims = d.
PAL_KERNEL(void mixture_losses(const Tensor& scores, const Tensor& half_norm, const Tensor& log_det,
                               const Tensor& targets, int64_t dims, const MixtureWeights& weights,
                               const MixtureLosses& losses))

/// Overwrites summary f64 [3] with the means over the batch of the weighted loss, of nll_joint and
/// of cross_entropy (both f64 [n]).
PAL_KERNEL(void mixture_summary(const Tensor& nll_joint, const Tensor& cross_entropy,
                                const MixtureWeights& weights, const Tensor& summary))

/// Overwrites grad_z [n, d] with norm_gradient * z + grad_scores . mu and adds to the gradients of
/// the means. z and means are those of the mixture_scores call that filled `state`; norm_gradient
/// is mixture_density_gradient.
PAL_KERNEL(void mixture_backward(const Tensor& z, const MixtureMeans& means,
                                 const MixtureState& state, const Tensor& grad_scores,
                                 double norm_gradient, const Tensor& grad_z,
                                 const MixtureGrads& grads))

}  // namespace pal
