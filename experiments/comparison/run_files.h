#pragma once
#include <string>

#include "experiments/comparison/run_record.h"

// What the text files of a run's folder say. Lines and entries that are torn, or of another type than
// pal-train writes, say nothing.
namespace pal {

/// Takes the curves from a metrics.jsonl.
void read_curves(const std::string& path, RunRecord& run);
/// Takes from a run.json where the run was made; a file that is missing says nothing.
void read_machine(const std::string& path, RunRecord& run);

}  // namespace pal
