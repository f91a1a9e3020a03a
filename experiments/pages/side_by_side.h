#pragma once
#include <vector>

#include "experiments/comparison/run_record.h"
#include "experiments/pages/html.h"
#include "experiments/pages/report_options.h"
#include "runtime/device.h"

namespace pal {

/// What the shown flows among several runs imagine, and where they look in the same images. Models
/// and images that are not to be had are named with the reason instead.
std::vector<HtmlSection> pictures_side_by_side(const std::vector<RunRecord>& runs,
                                               const ReportOptions& options, Device device);

}  // namespace pal
