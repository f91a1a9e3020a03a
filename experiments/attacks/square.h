#pragma once
#include "experiments/attacks/attack_batch.h"

namespace pal {

/// The square attack (Andriushchenko and others 2020) in the L-infinity ball: random squares of
/// +-eps, kept where the margin falls. It asks for no gradient, so that it is not misled by one
/// that says nothing; an attack by gradients that it beats went wrong.
struct RandomSquares {
  double eps = 8.0 / 255.0;
  int64_t queries = 1000;  ///< images tried, the first of vertical stripes
  double share = 0.8;      ///< of the pixels in the first squares
  uint64_t seed = 0;
  std::vector<uint64_t> streams = {};  ///< numbers of the images; empty: their rows
};

/// Attacks a batch; an image is left alone once it has its goal. The result is the image of the
/// least margin.
AttackResult attack_square(AttackedModel& model, const AttackBatch& batch,
                           const RandomSquares& how);

}  // namespace pal
