#pragma once
#include "kernels/common/backend.h"

// Losses of the latent mixture per sample (layers/models/README.md, 7), from class scores l_y,
// half_norm = ||z||^2 / 2 and the log-determinant. All in nats; the first two are divided by the
// dimensions.
namespace pal::mixture_math {

/// The class score l_y = <z, mu_y> - ||mu_y||^2 / 2, from its two terms.
template <typename Real>
PAL_HD Real score(Real product, double half_norm) {
  return static_cast<Real>(static_cast<double>(product) - half_norm);
}

/// -log p(x) per dimension, up to a constant: (||z||^2 / 2 - log sum_y exp(l_y) - log_det) / dims.
PAL_HD double nll_joint(double half_norm, double log_sum_exp, double log_det, double dims) {
  return (half_norm - log_sum_exp - log_det) / dims;
}

/// -log p(x | target) per dimension, up to a constant: (sum_y t_y d_y / 2 - log_det) / dims, where
/// d_y / 2 = ||z||^2 / 2 - l_y, target_score = sum_y t_y l_y and target_total = sum_y t_y.
PAL_HD double nll_class(double half_norm, double target_score, double target_total, double log_det,
                        double dims) {
  return (target_total * half_norm - target_score - log_det) / dims;
}

/// The cross entropy of p(y | x) against the targets: -sum_y t_y (l_y - log_sum_exp).
PAL_HD double cross_entropy(double log_sum_exp, double target_score, double target_total) {
  return target_total * log_sum_exp - target_score;
}

/// A sample's part of the training loss: the weighted sum of nll_joint and cross_entropy.
PAL_HD double weighted_loss(double nll_joint, double cross_entropy, double density_weight,
                            double class_weight) {
  return density_weight * nll_joint + class_weight * cross_entropy;
}

/// The derivative with respect to l_y of
///   density_weight dims nll_joint + class_weight cross_entropy.
PAL_HD double score_gradient(double probability, double target, double target_total,
                             double density_weight, double class_weight) {
  return -density_weight * probability + class_weight * (target_total * probability - target);
}

}  // namespace pal::mixture_math
