#pragma once
#include <string>

#include "experiments/robustness/ood_comparison.h"

namespace pal {

/// What was compared and two tables for people, in percent: the headline score with all measures,
/// then the AUC of every score; sets in their order, the means of their groups below.
std::string to_text(const OodComparison& comparison);

/// The same and the rest as one JSON object; shares in [0, 1].
std::string to_json(const OodComparison& comparison);

/// A line for each set, score and kind of negatives, and the means of groups: set, group, images,
/// score, negatives, negative_images, auc, auc_error, aupr_foreign, aupr_familiar, ap_foreign,
/// ap_familiar, fpr95_foreign_positive, fpr95_familiar_positive.
std::string detection_csv(const OodComparison& comparison);

/// A line for each image, the evaluated ones first, then those of the reference and of the foreign
/// sets: set, index, name, and every score, which is the higher the more foreign.
std::string scores_csv(const OodComparison& comparison);

}  // namespace pal
