#pragma once
#include <string>

#include <vector>

#include "experiments/report/chart.h"
#include "experiments/report/evaluation_report.h"

namespace pal {

/// Shares of values, in percent, in equal parts of a range, as a line of steps; the outermost parts
/// hold what lies beyond them too.
Series histogram_steps(const std::string& name, const std::vector<double>& values, double low,
                       double high);

/// The range of such a picture: all but the outermost 0.2 % of the familiar values at either end,
/// and 2 % of the foreign ones.
struct ValueRange {
  double low, high;
};
ValueRange shown_range(const std::vector<double>& familiar,
                       const std::vector<std::vector<double>>& foreign);

/// How likely images are: shares of the evaluated images and of the foreign sets by their
/// noise-free bits per dimension, with the middle 90 % of the evaluated ones marked (the paper's Fig. 8), as
/// an SVG picture. The outermost steps hold what lies beyond them too. The report must be of a flow.
std::string density_svg(const CheckpointReport& report);

}  // namespace pal
