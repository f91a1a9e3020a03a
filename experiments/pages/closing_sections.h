#pragma once
#include <vector>

#include "experiments/comparison/run_record.h"
#include "experiments/pages/html.h"

namespace pal {

/// How runs came about: networks, data, seeds, machines, seconds and the commands that trained
/// them, as far as their folders record it.
HtmlSection about_section(const std::vector<RunRecord>& runs);

/// The words of the page that not everyone knows. `density`: those of flows too; `attacks`: those of
/// attacks.
HtmlSection glossary_section(bool density, bool attacks);

}  // namespace pal
