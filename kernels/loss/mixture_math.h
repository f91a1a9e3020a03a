#pragma once
#include "kernels/common/backend.h"

// Losses of the latent mixture per sample (model.md 7), from class scores l_y, half_norm =
// ||z||^2 / 2 and the log-determinant. All in nats; the first two are divided by the dimensions.
namespace pal::mixture_math {

/// l_y from <z, mu_y> and ||mu_y||^2 / 2.
template <typename Real>
PAL_HD Real score(Real product, double half_norm) {
  return static_cast<Real>(static_cast<double>(product) - half_norm);
}

/// (||z||^2 / 2 - log sum_y exp(l_y) - log_det) / dims.
PAL_HD double nll_joint(double half_norm, double log_sum_exp, double log_det, double dims) {
  return (half_norm - log_sum_exp - log_det) / dims;
}

/// (sum_y t_y d_y / 2 - log_det) / dims, where d_y / 2 = ||z||^2 / 2 - l_y and target_total = sum
/// t_y.
PAL_HD double nll_class(double half_norm, double target_score, double target_total, double log_det,
                        double dims) {
  return (target_total * half_norm - target_score - log_det) / dims;
}

/// -sum_y t_y (l_y - log_sum_exp).
PAL_HD double cross_entropy(double log_sum_exp, double target_score, double target_total) {
  return target_total * log_sum_exp - target_score;
}

/// A sample's part of the training loss.
PAL_HD double weighted_loss(double nll_joint, double cross_entropy, double density_weight,
                            double class_weight) {
  return density_weight * nll_joint + class_weight * cross_entropy;
}

/// d/dl_y of density_weight * dims * nll_joint + class_weight * cross_entropy.
PAL_HD double score_gradient(double probability, double target, double target_total,
                             double density_weight, double class_weight) {
  return -density_weight * probability + class_weight * (target_total * probability - target);
}

}  // namespace pal::mixture_math
