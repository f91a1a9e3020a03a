#pragma once
#include <string>

#include "experiments/robustness/ood_comparison.h"

namespace pal {

/// How likely the training, the evaluated and a set's images are by ln q(x)/D, and below what each
/// of the three tests rejects at a false positive rate of 10 % and how much of the sets that is (the
/// paper's Fig. 8), as an SVG picture. The model must have a density.
std::string rejection_svg(const OodComparison& comparison, const ForeignSet& set);

/// ROC curves of a set by every score, the negatives being the evaluated images.
std::string roc_svg(const OodComparison& comparison, const ForeignSet& set);

/// Writes detection.csv, scores.csv and for the N-th set roc_N_LABEL.svg and, of a density,
/// fig8_N_LABEL.svg into a folder, which is made if it is not there. Throws environment.
void write_ood_figures(const std::string& folder, const OodComparison& comparison);

}  // namespace pal
