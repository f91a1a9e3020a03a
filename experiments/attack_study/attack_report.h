#pragma once
#include <optional>
#include <string>
#include <vector>

#include "experiments/attack_study/attack_study.h"
#include "experiments/trust/estimate.h"

namespace pal {

/// A test's p-value below this raises a flag.
inline constexpr double kAttackFlag = 0.05;

/// Signs that an attack was weak, so that its numbers say little of the model (Carlini and others
/// 2019); counts of images, of those whose goal was not reached before (`broken`: of all).
struct AttackHealth {
  int64_t open = 0;          ///< images whose goal was not reached before
  int64_t no_gradient = 0;   ///< the loss had no slope at the start
  int64_t never_fell = 0;    ///< no step made the objective smaller
  int64_t ended_above = 0;   ///< the last step's objective lies above an earlier one's
  int64_t broken = 0;        ///< the model's answer was not finite at a step
  int64_t noise_better = 0;  ///< random noise of the same size reached the goal, the attack not
  std::vector<std::string> warnings;  ///< in words
};

/// What one attack did to one model; means over all images, shares in [0, 1].
struct AttackRow {
  AttackSetting setting;
  int64_t images = 0;
  double confidence = 0.0;
  Estimate corruption, rms, l2, linf;
  Estimate contrast;            ///< over the images that have any: not of one grey
  int64_t contrast_images = 0;  ///< how many these are
  Estimate success;             ///< the goal is reached
  double kept = 0.0;            ///< the margin is at least kappa wide
  double success_8bit = 0.0;
  /// Of the images whose goal is reached alone, and how many these are; not a number for none.
  Estimate l2_reached;
  int64_t reached = 0;
  double entropy_clean = 0.0, entropy = 0.0;  ///< nats
  double steps = 0.0;
  /// AUC of attacked images against training images by density; none without one.
  std::optional<Estimate> auc_one_tailed, auc_two_tailed;
  std::optional<double> flagged;              ///< the two-tailed test's p is below kAttackFlag
  std::optional<double> familiarity_flagged;  ///< the same of the calibration's familiarity
  std::optional<double> unnoticed;  ///< reached and not flagged by familiarity, else by density
  AttackHealth health;
  std::vector<std::pair<std::string, double>> transferred;  ///< share reached, by the other's label
};

/// Robust accuracy at one radius.
struct RobustPoint {
  double eps = 0.0;
  double accuracy = 0.0;       ///< right under every attack of this radius and of smaller ones
  double alone = 0.0;          ///< of this radius alone
  double accuracy_8bit = 0.0;  ///< the same as accuracy of the pictures that attacks leave
  /// Not wrong and unnoticed under any of them, by the two tests; none where there is no test.
  std::optional<double> noticed_density, noticed_familiarity;
  std::vector<std::pair<std::string, double>> attacks;  ///< accuracy under each alone
};

/// A model under attack.
struct ModelAttackReport {
  std::string label, checkpoint;
  std::optional<double> beta;
  bool has_density = false, calibrated = false;
  double clean_accuracy = 0.0;
  std::optional<Estimate> clean_auc;  ///< two-tailed, clean test images against training images
  std::optional<double> clean_flagged, clean_familiarity_flagged;  ///< false alarms
  std::vector<AttackRow> rows;
  std::vector<RobustPoint> curve;
  /// Images whose way was followed, and those of them that first reached the goal and then shrank
  /// the change (the two stages of the paper's Figs. 6 and 19).
  int64_t traced = 0, crossed_then_shrank = 0;
  std::vector<std::string> left_out;
};

struct AttackReport {
  std::string dataset;
  int64_t images = 0;
  std::string norm;  ///< of the curve
  std::vector<ModelAttackReport> models;
  std::vector<std::string> warnings;  ///< of all attacks
};

AttackReport attack_report_of(const AttackStudy& study, const AttackOptions& options);

/// Tables for people; shares in percent.
std::string to_text(const AttackReport& report);
/// One JSON object; shares in [0, 1].
std::string to_json(const AttackReport& report);

/// Writes into the folder of results: attacks.json, attacks.csv (a line for each model and attack),
/// tables7-9.csv, robust_curve.csv, images/MODEL/ATTACK.csv and .safetensors (a line, an image),
/// sheets, charts and, where they were asked for, traces. Throws environment.
void write_attacks(const AttackOptions& options, const AttackStudy& study,
                   const AttackReport& report, const std::string& json);

}  // namespace pal
