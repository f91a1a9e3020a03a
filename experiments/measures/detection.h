#pragma once
#include <vector>

// How well a score tells positives from negatives. Scores are higher for positives; equal scores
// count half. All in [0, 1].
namespace pal {

/// Standard error of rank_auc (DeLong, DeLong, Clarke-Pearson 1988). Throws usage for fewer than two
/// of either.
double auc_standard_error(const std::vector<double>& positives,
                          const std::vector<double>& negatives);

/// The curve of precision over recall, one point for each different score.
struct PrecisionRecall {
  double average_precision = 0.0;  ///< sum of precision times the step of recall
  double trapezoid = 0.0;          ///< area under the curve joined by lines, from precision 1
};
/// Throws usage if either is empty.
PrecisionRecall precision_recall(const std::vector<double>& positives,
                                 const std::vector<double>& negatives);

/// Share of negatives above the first threshold, from above, that at least the share `rate` of
/// positives reaches. Throws usage if either is empty.
double false_positive_rate_at(double rate, const std::vector<double>& positives,
                              const std::vector<double>& negatives);

/// All that is said of how well a score tells foreign images from familiar ones; in [0, 1].
struct Detection {
  double auc = 0.5;
  double error = 0.0;  ///< standard error of auc; not a number for fewer than two images of either
  /// Areas under precision over recall, joined by lines, with either as the positive.
  double aupr_foreign = 0.0, aupr_familiar = 0.0;
  /// The same as sums of steps (average precision).
  double ap_foreign = 0.0, ap_familiar = 0.0;
  /// Share of familiar images that are called foreign where 95 % of the foreign ones are found
  /// (foreign positive, as OpenOOD 1.5 has it).
  double fpr95_foreign = 0.0;
  /// Share of foreign images that pass where 95 % of the familiar ones do (familiar positive, as
  /// ODIN has it).
  double fpr95_familiar = 0.0;
};
/// Of scores that are higher for foreign images. Throws usage if either is empty.
Detection judge_detection(const std::vector<double>& foreign, const std::vector<double>& familiar);

/// A point of the ROC curve: shares of negatives and positives that reach a threshold.
struct RocPoint {
  double negatives = 0.0;
  double positives = 0.0;
};
/// The curve from (0, 0) to (1, 1), without points that are nearer than `step` to the one before in
/// both shares. Throws usage if either is empty.
std::vector<RocPoint> roc_curve(const std::vector<double>& positives,
                                const std::vector<double>& negatives, double step = 0.0);

}  // namespace pal
