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

}  // namespace pal
