#pragma once
#include "experiments/attacks/attack_batch.h"

namespace pal {

/// Where on the way from an original image (0) to a changed one (1) a margin is wide enough.
struct SegmentSearch {
  double kappa = 0.0;  ///< the margin shall be at most -kappa, and below 0
  int halvings = 16;
};

/// What a search found.
struct SegmentResult {
  Tensor images;                 ///< [n, h, w, c]: the nearest ones found
  std::vector<bool> found;       ///< whether the margin is wide enough there; else as given
  std::vector<double> fraction;  ///< of the way
};

/// Bisects the segments from the originals to `changed` [n, h, w, c] for the nearest image whose
/// margin is wide enough. Where that of the changed image is not, up to a quarter of the way beyond
/// it is looked at too. What is found has the margin, however it runs between.
SegmentResult search_segments(AttackedModel& model, const AttackBatch& batch, const Tensor& changed,
                              const SegmentSearch& how);

}  // namespace pal
