#pragma once
#include <string>
#include <vector>

#include "experiments/comparison/run_record.h"
#include "experiments/report/evaluation_report.h"

namespace pal {

/// What an evaluation says, in sentences for people who know no paper. `names`: of the classes.
std::vector<std::string> plain_reading(const RunRecord& run, const CheckpointReport& report,
                                       const std::vector<std::string>& names);

}  // namespace pal
