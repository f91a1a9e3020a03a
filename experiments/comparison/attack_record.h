#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/attack_study/attack_report.h"
#include "experiments/comparison/run_record.h"

namespace pal {

/// What attacks found of a run, as pal-attack wrote it.
struct AttackRecord {
  ModelAttackReport model;            ///< what attacks.json does not hold stays as it is
  int64_t images = 0;                 ///< that were attacked
  std::string norm;                   ///< of the curve's radii
  std::vector<std::string> warnings;  ///< that the attacks were weak, of this model alone
  /// Of attacked images whose paths were kept: how many, and how many of them first reached the goal
  /// and then came nearer to the image.
  struct Paths {
    int64_t images = 0, crossed_then_shrank = 0;
  };
  std::optional<Paths> paths;

  /// False of a flow that was trained at beta 0, whose classes mean nothing.
  bool names_classes() const { return !(model.has_density && model.beta == 0.0); }
  /// Among the attacks with this kappa and d that have a target: that of Carlini and Wagner by a
  /// protocol, or ddn; null without one.
  const AttackRow* targeted_cw(CwProtocol protocol, double kappa, double d) const;
  const AttackRow* targeted_ddn(double kappa) const;
};

/// Reads a run's model from attacks/attacks.json, of the run's folder or of the one that the run (or
/// checkpoint) lies in; none without such a file, or if the model is in neither. Models go by the
/// run's name; "NAME_seed_0" also by NAME, as experiments/sweep_results.sh calls its weights.
/// Throws data, naming it, for a file that pal-attack does not write.
std::optional<AttackRecord> attack_record(const RunRecord& run);

}  // namespace pal
