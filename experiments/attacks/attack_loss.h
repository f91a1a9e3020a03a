#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "experiments/attacks/attacked_model.h"

namespace pal {

/// What an attack wants of one image.
struct AttackGoal {
  int32_t label = 0;    ///< what the image is
  int32_t target = -1;  ///< the class that it shall be taken for; -1: any but the label
};

/// How far an image is from its goal, in the units of class scores, and what that depends on:
/// targeted max_{y != t} l_y - l_t, else l_label - max_{y != label} l_y; below 0 the goal is
/// reached.
struct Margin {
  double value = 0.0;
  int32_t ahead = 0;   ///< the class whose score is in the way
  int32_t wanted = 0;  ///< the class whose score shall pass it
};
Margin margin_of(std::span<const double> scores, const AttackGoal& goal);

/// What an attack makes small.
enum class AttackLoss {
  cross_entropy,  ///< ln q(label|x), or -ln q(target|x)
  dlr,            ///< the margin over the distance of the first and third score (Croce, Hein 2020)
  margin,         ///< the margin itself
  hinge,  ///< max(margin, -kappa): the margin until it is wide enough (Carlini, Wagner 2017)
};
/// "ce", "dlr", "margin", "hinge".
const char* name_of(AttackLoss loss);

/// An attack's loss beside distances: weight * loss + d (median - ln q(x) / D)^2, the second term
/// to go unnoticed by a test of densities (Eq. 12 of the paper).
struct AttackObjective {
  AttackLoss loss = AttackLoss::hinge;
  double weight = 1.0;
  double kappa = 0.0;   ///< of the hinge; may be infinite
  double d = 0.0;       ///< weight of the detection term; 0: none
  double median = 0.0;  ///< of ln q(x) / D over images that are no attacks
};

/// The objective of images and its derivatives.
struct ObjectiveValues {
  std::vector<double> values;   ///< of each image
  std::vector<double> margins;  ///< of each image
  std::vector<bool> reached;    ///< whether the goal is: the margin is finite and below 0
};
/// Evaluates an objective for images with their goals. Throws usage for a detection term without a
/// density, and for dlr with fewer than three classes (targeted: four).
ObjectiveValues evaluate_objective(const AttackObjective& objective, const ImageScores& said,
                                   const std::vector<AttackGoal>& goals,
                                   ImageGradients* gradients = nullptr);

}  // namespace pal
