#pragma once
#include "experiments/attacks/attack_batch.h"

namespace pal {

/// Decoupled direction and norm (Rony and others 2019): the least L2 distance at which the margin
/// is wide enough. Each step goes along the gradient of the margin, then the distance is set: less
/// than before where the goal was reached, more where not.
struct DecoupledNorm {
  double kappa = 0.0;  ///< the margin shall be at most -kappa, and below 0; finite
  int64_t steps = 300;
  double start = 1.0;    ///< the distance that is tried first
  double factor = 0.05;  ///< by which the distance changes in a step
  bool search = true;    ///< of the segment to the original in the end
};

/// Attacks a batch; the result is the nearest image found whose margin is wide enough, else the last
/// one. Objectives of the records are margins at the start and distances (infinite: none) in the
/// end.
AttackResult attack_ddn(AttackedModel& model, const AttackBatch& batch, const DecoupledNorm& how,
                        const AttackObserver& observe = {});

}  // namespace pal
