#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "experiments/attacks/attack_setting.h"
#include "experiments/evaluation/evaluate_options.h"
#include "experiments/evaluation/evaluated_sets.h"
#include "experiments/planning/memory_plan.h"

namespace pal {

/// Everything pal-attack can be told. Texts are read by finish_attack_options.
struct AttackOptions {
  EvaluateOptions evaluation;  ///< checkpoints, data, device, batch size, images
  std::string attacks = "cw";  ///< kinds, with commas between, or "none"
  std::string protocols = "converged";
  std::vector<double> kappas = {0.01};
  std::vector<double> detection = {0.0};  ///< weights d
  double c = 10.0;
  std::string norm = "linf";
  std::string losses;                ///< of pgd and fgsm; empty: ce
  std::vector<double> eps;           ///< radii of pgd, fgsm and square
  std::vector<double> robust_curve;  ///< radii at which robust accuracy is measured
  bool untargeted = false;
  int64_t steps = 0;
  int64_t restarts = 1;
  std::string targets;  ///< CSV file of index and target; empty: drawn by the seed
  bool transfer = false;
  int64_t trace = 0;   ///< images whose way is kept
  int64_t sheet = 10;  ///< images in sheets
  int64_t reference = kReferenceImages;
  MemoryRequest memory;
  std::string output;  ///< folder; empty: nothing is kept
  ProgressMode progress = ProgressMode::automatic;

  std::vector<AttackSetting> settings;  ///< read from the others: those of tables
  /// Those of each radius of the curve, in its order.
  std::vector<std::vector<AttackSetting>> curve;
};

/// The weight of the detection term in the adaptive attack of robust curves and of the loss
/// "adaptive".
inline constexpr double kAdaptiveWeight = 66.0;

/// Adds all options to a table that sets `options`.
void add_attack_options(OptionTable& table, AttackOptions& options);

/// After parsing: reads the texts and checks what concerns several options. Throws usage naming the
/// flag.
void finish_attack_options(AttackOptions& options);

}  // namespace pal
