#pragma once
#include <string>
#include <vector>

#include "experiments/comparison/run_record.h"
#include "experiments/report/evaluation_report.h"

namespace pal {

/// A model card as hubs read it: Markdown below YAML with `model-index` (the metrics of the
/// evaluation), saying what the model is and is for, how it was trained, what it can do, whether its
/// probabilities can be believed, what was measured of its limits and what was not, and how to use
/// it. No licence is claimed.
std::string model_card(const RunRecord& run, const CheckpointReport& report,
                       const std::vector<std::string>& names,
                       const std::vector<std::string>& reading);

}  // namespace pal
