#pragma once
#include <string>

#include "experiments/measures/evaluation.h"
#include "experiments/trust/estimate.h"

namespace pal {

/// How far confidences can be relied on, beyond the errors of bins (experiments/measures/README.md,
/// 5); with standard errors.
struct Reliability {
  Estimate nll;    ///< nats
  Estimate brier;  ///< sum over classes
  Estimate adaptive_ece;
  Estimate classwise_ece;
  Estimate aurc;
  double error_auc = 0.0;  ///< not a number where all answers are right, or none
};
Reliability reliability_of(const EvaluationResult& result);

/// Bits per dimension with the standard error over images; the result must be of a flow.
Estimate bits_per_dim_of(const EvaluationResult& result);

/// The one-versus-all calibration curve as CSV: low, high, middle, entries, positives, rate,
/// rate_error; and the risk-coverage curve: coverage, risk.
std::string calibration_csv(const EvaluationResult& result);
std::string risk_csv(const EvaluationResult& result);

}  // namespace pal
