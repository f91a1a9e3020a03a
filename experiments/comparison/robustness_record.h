#pragma once
#include <nlohmann/json.hpp>
#include <optional>

#include "experiments/comparison/run_measures.h"
#include "experiments/comparison/run_record.h"

namespace pal {

/// What pal-robustness found of a run: its model in robustness/robustness.json, of the run's folder
/// or of the one that the run lies in; null without such a file, or if the model is not in it.
/// Throws data, naming it, for a file that pal-robustness does not write.
nlohmann::json robustness_record(const RunRecord& run);

/// Mean AUC over corruptions by which a density tells them, with its standard error.
std::optional<RunNumber> corruption_auc(const RunRecord& run);
/// Mean corruption error by the reference that the file names; without an error of its own.
std::optional<RunNumber> corruption_mce(const RunRecord& run);

}  // namespace pal
