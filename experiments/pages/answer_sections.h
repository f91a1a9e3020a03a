#pragma once
#include <string>
#include <vector>

#include "experiments/comparison/run_record.h"
#include "experiments/pages/html.h"
#include "experiments/report/evaluation_report.h"

namespace pal {

/// How often a class is taken for another.
struct Confusion {
  int32_t label = 0, predicted = 0;
  int64_t images = 0;  ///< of that label that were so predicted
  double share = 0.0;  ///< of all images of the label
};
/// The pairs of different classes that are confused, the most images first.
std::vector<Confusion> confusions(const std::vector<ImageResult>& results);

/// Accuracy with its standard error, of results.
Estimate mean_accuracy(const std::vector<ImageResult>& results);

/// The numbers of an evaluation with their standard errors.
HtmlSection numbers_section(const CheckpointReport& report);
/// Whether confidences can be believed.
HtmlSection calibration_section(const CheckpointReport& report, const RunRecord& run);
/// Which classes are taken for which: the whole matrix of up to 30 classes, else the worst pairs.
HtmlSection confusion_section(const CheckpointReport& report,
                              const std::vector<std::string>& names);
/// How likely images are, with the middle 90 % marked, beside foreign sets (the paper's Fig. 8).
HtmlSection density_section(const CheckpointReport& report, const RunRecord& run);

}  // namespace pal
