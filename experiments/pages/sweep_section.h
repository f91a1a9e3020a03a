#pragma once
#include <optional>
#include <string>
#include <vector>

#include "experiments/comparison/orderings.h"
#include "experiments/comparison/run_record.h"
#include "experiments/pages/html.h"

namespace pal {

/// Which orderings of the paper hold among runs of several betas, those that do not hold first, with
/// means over seeds and the trade-off between density and accuracy (the paper's Fig. 2). None for
/// runs of fewer than three betas.
std::optional<HtmlSection> sweep_section(const std::vector<RunRecord>& runs);

/// The same as Markdown, without a headline and drawings.
std::string sweep_markdown(const Sweep& sweep, const std::vector<Ordering>& found);

}  // namespace pal
