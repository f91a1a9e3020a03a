#pragma once
#include <optional>
#include <vector>

#include "experiments/comparison/run_record.h"
#include "experiments/pages/html.h"
#include "experiments/pages/picture_sections.h"

namespace pal {

/// What corruptions do to a run, of robustness/robustness.json in its folder (pal-robustness -o
/// RUN/robustness) or of the folder that the run lies in: errors and detection by kind, and the worst
/// kinds in pictures. None without such a file. Throws data, naming it, for one that pal-robustness does not write.
std::optional<HtmlSection> robustness_section(const RunRecord& run, const ShownModel& model);

/// The paper's Table 3 over several runs that have such a file; none if fewer than two have.
std::optional<HtmlSection> robustness_comparison(const std::vector<RunRecord>& runs);

}  // namespace pal
