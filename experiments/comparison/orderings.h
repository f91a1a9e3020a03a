#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "experiments/comparison/beta_groups.h"
#include "experiments/comparison/ordering_tests.h"

// The orderings that the paper's tables and figures show over beta (its Tables 2 and 6, Figs. 12, 13,
// 15, 16, foreign sets), looked for among our own runs: experiments/README.md, "Orderings of the paper".
namespace pal {

/// All orderings, in the order of the paper's products. Errors are those over seeds; a beta with a
/// single seed has the error within its run, where there is one (accuracy, CE, OCE, AUC, planes).
/// Throws data for a broken CSV file in a run's folder.
std::vector<Ordering> orderings(const Sweep& sweep);
/// Those of the largest sweep among the runs.
std::vector<Ordering> orderings(const std::vector<RunRecord>& runs);

/// How many have a verdict.
int64_t count_of(const std::vector<Ordering>& list, Ordering::Verdict verdict);

/// "3 of 24 orderings do not hold, 12 hold, 5 are undecided, 4 not measured", then one
/// after another for people, those that do not hold first.
std::string to_text(const std::vector<Ordering>& list);
/// As CSV, with the header product,expected,measured,verdict.
std::string to_csv(const std::vector<Ordering>& list);

}  // namespace pal
