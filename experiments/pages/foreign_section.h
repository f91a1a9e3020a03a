#pragma once
#include <optional>

#include "experiments/comparison/run_record.h"
#include "experiments/pages/html.h"

namespace pal {

/// How foreign sets are told by every score, of foreign/detection.csv in the run's folder (pal-ood -o
/// RUN/foreign), with the ROC curves that lie there. None without that file. Throws data, naming it,
/// for one that pal-ood does not write.
std::optional<HtmlSection> foreign_section(const RunRecord& run);

}  // namespace pal
