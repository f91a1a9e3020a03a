#pragma once
#include <string>
#include <vector>

#include "experiments/comparison/run_record.h"
#include "experiments/report/evaluation_report.h"

namespace pal {

/// A model card as hubs read it: Markdown below YAML with `model-index` (the metrics of the
/// evaluation), saying what the model is, what it can and cannot do, and how to use it.
std::string model_card(const RunRecord& run, const CheckpointReport& report,
                       const std::vector<std::string>& names,
                       const std::vector<std::string>& reading);

}  // namespace pal
