#pragma once
#include "experiments/attacks/attack_batch.h"

namespace pal {

/// Which distance of an image from the original is bounded; values in [0, 1].
enum class AttackNorm { linf, l2 };
/// "Linf", "L2".
const char* name_of(AttackNorm norm);

/// Projected gradient descent within a ball, with the steps of APGD (Croce and Hein 2020): momentum,
/// and a step that starts at twice the radius and is halved where it gains no more.
struct ProjectedGradient {
  AttackNorm norm = AttackNorm::linf;
  double eps = 8.0 / 255.0;  ///< radius of the ball
  AttackObjective objective = {.loss = AttackLoss::cross_entropy};
  int64_t steps = 50;    ///< of each start
  int64_t restarts = 1;  ///< the first starts at the image, others at random places of the ball
  uint64_t seed = 0;
  /// Leaves an image alone once its goal is reached; else the lowest objective is looked for.
  bool stop_when_reached = true;
  /// Numbers of the images, by which random places are drawn; empty: their rows.
  std::vector<uint64_t> streams = {};
};

/// Attacks a batch. Of the iterates that have their goal the one of the lowest objective counts,
/// else that of all.
AttackResult attack_projected_gradient(AttackedModel& model, const AttackBatch& batch,
                                       const ProjectedGradient& how);

/// One step to the border of the ball along the gradient's signs, or of L2 along itself
/// (Goodfellow and others 2015).
AttackResult attack_fast_gradient(AttackedModel& model, const AttackBatch& batch,
                                  const ProjectedGradient& how);

/// Random images of the ball's border: of L-infinity signs, of L2 a normal direction, each value in
/// the other direction where it would leave [0, 1]. What an attack must be better than.
Tensor random_in_ball(const Tensor& images, AttackNorm norm, const std::vector<double>& radius,
                      uint64_t seed, const std::vector<uint64_t>& streams);

}  // namespace pal
