#pragma once
#include <string>

#include "experiments/report/evaluation_report.h"

namespace pal {

/// How likely images are: shares of the evaluated images and of the foreign sets by their
/// noise-free bits per dimension, with the middle 90 % of the evaluated ones marked (the paper's Fig. 8), as
/// an SVG picture. The outermost steps hold what lies beyond them too. The report must be of a flow.
std::string density_svg(const CheckpointReport& report);

}  // namespace pal
