#pragma once
#include <cstdint>
#include <vector>

#include "experiments/measures/metrics.h"

// Answering only where the confidence is high: how many errors remain (Geifman and El-Yaniv 2017).
namespace pal {

/// The error rate among the k most confident images, for k = 1 to their number; of equal
/// confidences the earlier image counts as the more confident.
std::vector<double> risk_by_coverage(const std::vector<ImageResult>& results);

/// Area under the risk-coverage curve: the mean of risk_by_coverage. Throws usage for no results.
double aurc(const std::vector<ImageResult>& results);

/// How well low confidence tells errors from right answers: area under the ROC curve with errors as
/// positives; not a number if there are none of either.
double error_auc(const std::vector<ImageResult>& results);

}  // namespace pal
