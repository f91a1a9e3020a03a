#pragma once
#include <string>
#include <vector>

#include "experiments/report/evaluation_report.h"

namespace pal {

/// What a checkpoint is called in legends and tables: its run folder, or its file without the suffix.
std::string checkpoint_name(const std::string& path);

/// How often answers are right at their confidence, one versus all (the paper's Fig. 14), a line for
/// each checkpoint.
std::string calibration_svg(const std::vector<CheckpointReport>& reports);

/// The error rate against the share of images that are answered.
std::string risk_svg(const std::vector<CheckpointReport>& reports);

/// Writes the curves of evaluations into a folder, which is made if it is not there:
/// calibration.svg (one versus all, the paper's Fig. 14) and risk.svg (error rate against the share
/// of images that are answered), a line for each checkpoint, and calibration_N.csv, risk_N.csv and,
/// of flows, density_N.svg (the paper's Fig. 8) of the N-th one, counted from 1. Also the paper's Table 2 and 6 as table2.csv (losses, bits/dim,
/// accuracy) and table6.csv (calibration), a line for each checkpoint, with columns of the paper's
/// figures if a report has them, and its Fig. 2 as fig2.svg: bits/dim against accuracy, flows as
/// points named by their beta, one of beta 0 as a vertical line, a network that only classifies as
/// a horizontal one. Throws environment.
void write_figures(const std::string& folder, const std::vector<CheckpointReport>& reports);

}  // namespace pal
