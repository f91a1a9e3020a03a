#pragma once
#include <optional>
#include <string>
#include <vector>

#include "experiments/comparison/run_record.h"
#include "experiments/report/evaluation_report.h"

namespace pal {

/// How well one foreign image set is told from a model's own images: areas under ROC curves as
/// shares, below 0.5 where the foreign images look more familiar.
struct ForeignResult {
  std::string set;
  std::optional<double> density;      ///< by the quantile test of the density
  std::optional<double> familiarity;  ///< by the p-values of a calibration

  /// By familiarity where it is known, else by density alone.
  std::optional<double> best() const { return familiarity ? familiarity : density; }
};

/// What pal-evaluate --ood found: of the report, or if that looked at no foreign images, of the
/// run's summary.json.
std::vector<ForeignResult> foreign_results(const CheckpointReport& report, const RunRecord& run);

}  // namespace pal
