#pragma once
#include "kernels/common/backend.h"

namespace pal {

/// Class means of the latent mixture (model.md 7): mu_y = (mean_y, sum_k alpha_yk prototypes_k).
/// Without alpha and prototypes `mean` covers all dimensions (full rank). All in one dtype, dense.
struct MixtureMeans {
  Tensor mean;        ///< [classes, d_mean]
  Tensor alpha;       ///< [classes, rank], or undefined
  Tensor prototypes;  ///< [rank, d - d_mean], or undefined
  /// i32 [p], p <= d_mean, or undefined: the first p entries of z count in the order
  /// z_mean[i] = z[permutation[i]]. With its inverse, i32 [p].
  Tensor permutation;
  Tensor inverse_permutation;

  bool low_rank() const { return alpha.defined(); }
  int64_t classes() const { return mean.size(0); }
  int64_t mean_size() const { return mean.size(1); }
};

/// What mixture_scores keeps for mixture_backward; made by it, reused while shapes stay.
struct MixtureState {
  Tensor z_mean;      ///< z's mean part in the order of the means (a view if unpermuted)
  Tensor projection;  ///< p = z_rest prototypes^T [n, rank]
  Tensor gram;        ///< prototypes prototypes^T [rank, rank]
  Tensor alpha_gram;  ///< alpha gram [classes, rank]
  Tensor half_norms;  ///< ||mu_y||^2 / 2, f64 [classes]
};

/// Weights of the training loss: mean over the batch of density * nll_joint + classes *
/// cross_entropy.
struct MixtureWeights {
  double density = 1.0;
  double classes = 0.0;
};

/// Outputs of mixture_losses, all overwritten. An undefined one is left out.
struct MixtureLosses {
  Tensor nll_joint;      ///< f64 [n], nats per dimension
  Tensor nll_class;      ///< f64 [n], nats per dimension
  Tensor cross_entropy;  ///< f64 [n], nats
  Tensor grad_scores;    ///< [n, classes], dtype of the scores
};

/// Gradients of the parameters, added to. An undefined one is left out.
struct MixtureGrads {
  Tensor mean;
  Tensor alpha;
  Tensor prototypes;
};

/// dL/d(half squared norm) of each sample and minus dL/d(log_det): density / (n dims).
double mixture_density_gradient(const MixtureWeights& weights, int64_t batch, int64_t dims);

/// Mean over ordered pairs of classes of ||mu_i - mu_j||, in double; 0 for one class.
double mean_distance(const MixtureMeans& means);

// z [n, d] in f32 or f64 (f64 in test builds only, see gemm.h); rows may be a slice. No class mean
// is ever spelled out over the low-rank dimensions. Throws usage when shapes do not fit or the
// batch is empty.

/// Overwrites scores [n, classes] with l_y = <z, mu_y> - ||mu_y||^2 / 2, that is -||z - mu_y||^2 /
/// 2 +
/// ||z||^2 / 2, and fills `state`.
PAL_KERNEL(void mixture_scores(const Tensor& z, const MixtureMeans& means, const Tensor& scores,
                               MixtureState& state))

/// Per-sample losses and, for the mean of the weighted loss over the batch, dL/dscores. half_norm
/// (half_squared_norm of z) and log_det are f64 [n]; targets [n, classes] soft labels in the dtype
/// of the scores; dims = d.
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
