#pragma once
#include <string>
#include <vector>

#include "experiments/attack_study/trajectory_figure.h"
#include "experiments/attacks/attack_setting.h"
#include "layers/models/model.h"

namespace pal {

/// The way of one image under an attack.
struct AttackTrace {
  int64_t image = 0;  ///< place in the batch
  AttackTrajectory trajectory;
  /// First the goal was reached, then the change shrank: the squared distance at the last step is
  /// below that of the first step with the goal.
  bool crossed_then_shrank = false;
  // Of a flow, in the plane of the trajectory: what is drawn. Empty of a ResNet.
  std::vector<int64_t> classes;   ///< that are drawn, label and target among them
  std::vector<PlanePoint> means;  ///< of each
  bool decides = false;           ///< all means lie in the plane, which so decides the answer
};

/// Follows an attack on each image of a batch and projects its latent vectors: into the plane of the
/// class means if they lie in one, else into that of the five means which the trajectory comes
/// closest to. Keeps every step of small images, of larger ones evenly spaced steps.
std::vector<AttackTrace> trace_attack(Model& model, const InputSpec& input,
                                      const AttackBatch& batch, const AttackSetting& setting,
                                      double median);

}  // namespace pal
