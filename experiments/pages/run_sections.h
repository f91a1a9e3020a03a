#pragma once
#include <vector>

#include "experiments/comparison/run_record.h"
#include "experiments/pages/html.h"

namespace pal {

/// Runs by what they are called on a page: their beta where that tells them apart, else their name.
std::vector<std::string> run_labels(const std::vector<RunRecord>& runs);

/// The runs of which curves and pictures are shown, by their places: all of up to 8, of more those
/// of the least seed.
std::vector<size_t> shown_runs(const std::vector<RunRecord>& runs);

/// How training went: losses, accuracy and bits/dim of the images that choose checkpoints, of
/// the shown runs. Without curves a sentence says why.
HtmlSection curves_section(const std::vector<RunRecord>& runs);

/// Runs side by side, by what pal-evaluate --summary found of each.
HtmlSection comparison_section(const std::vector<RunRecord>& runs);

}  // namespace pal
