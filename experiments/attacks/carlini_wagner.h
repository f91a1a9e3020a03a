#pragma once
#include "experiments/attacks/attack_batch.h"

namespace pal {

/// The targeted attack of Carlini and Wagner (2017) as the paper's Eq. 11 has it, and the one that
/// also fools a test of densities (Eq. 12): from x_adv = (tanh(v) + 1) / 2, Adam makes
///   ||x_adv - x||^2 + c max(margin, -kappa) + d (median - ln q(x_adv) / D)^2
/// small, images in [0, 1], margins in nats of class scores.
struct CarliniWagner {
  double c = 10.0;
  double kappa = 0.01;  ///< may be infinite: the margin shall be as wide as it pays
  double d = 0.0;
  double median = 0.0;
  int64_t steps = 2000;   ///< at most
  int64_t patience = 20;  ///< steps in a row without a new lowest objective that end it; 0: none do
  double rate = 0.01;
  bool cosine = false;  ///< the rate falls to 0 along a cosine
  bool search = false;  ///< of the segment to the original, for the nearest image of the margin
  /// Images are drawn in by this factor before atanh, as 0 and 1 lie at infinity. With 1e-6, as is
  /// usual, black and white pixels would take hundreds of steps to move at all.
  double drawn_in = 1e-3;

  /// As published: stops an image after 20 steps without improvement. One step of Adam moves every
  /// pixel by up to rate / 2, whatever the margin needs.
  static CarliniWagner paper() { return {}; }
  /// A fixed number of steps at a falling rate, then the search: near the least distance.
  static CarliniWagner converged() {
    CarliniWagner attack;
    attack.steps = 1000;
    attack.patience = 0;
    attack.cosine = attack.search = true;
    return attack;
  }
};

/// Attacks a batch. Of the iterates that have their goal the one of the lowest objective counts,
/// else that of all (so that an image near its goal may end with a higher objective than it began
/// with, but at its goal); a search's result where its objective is no higher. `observe` is told of
/// every step, and of the iterate after the last one.
AttackResult attack_carlini_wagner(AttackedModel& model, const AttackBatch& batch,
                                   const CarliniWagner& how, const AttackObserver& observe = {});

}  // namespace pal
