#pragma once
#include <optional>
#include <string>

#include "experiments/comparison/beta_groups.h"
#include "experiments/comparison/run_figures.h"

// What is read of one run for the orderings of a sweep: numbers of summary.json, and of the CSV files
// of figures. All are none for a run without them.
namespace pal {

/// A number of summary.json, and perhaps its standard error.
Measure number_at(const std::string& pointer, const std::string& error_pointer = {});

/// The share of test images that are right, with its binomial standard error.
std::optional<RunNumber> accuracy_of(const RunRecord& run);

/// Overconfidence (experiments/measures/README.md, 5); none where too few images are that confident.
/// Its error is that of a share with one error and one right answer more, so that no errors among
/// few images are not taken for certainty.
Measure overconfidence_at(double threshold);
/// The threshold at which networks can be compared: the paper's, or if too few images of some run
/// that classifies are so confident, the highest at which all have enough.
double common_oce_threshold(const std::vector<const RunRecord*>& runs);

inline constexpr const char* kOneTailed = "one-tailed";
inline constexpr const char* kTypicality = "typicality";
inline constexpr const char* kQuantile = "quantile";
/// The area under the ROC curve of a test of a foreign set, with its standard error.
Measure auc_of(const std::string& set, const std::string& test);
/// The same by the p-values of familiarity, without an error.
Measure familiarity_auc(const std::string& set);

/// The difference of two numbers of the same run; within the run their errors are taken as
/// independent.
Measure difference(const Measure& a, const Measure& b);

/// How much higher the AUC of familiarity is than that of the quantile test: the mean over all
/// foreign sets that have both.
std::optional<RunNumber> familiarity_gain(const RunRecord& run);

Measure of_dct(double DctNumbers::*number);

/// Full width at half maximum of the receptive field: in pixels; and in strides of the final map,
/// whose size dct.csv tells.
std::optional<RunNumber> field_width(const RunRecord& run);
std::optional<RunNumber> width_in_strides(const RunRecord& run);

/// The accuracy of classes in a plane over that of the model itself, both without noise; its error
/// is that of the plane's accuracy alone.
std::optional<RunNumber> plane_share(const RunRecord& run);

/// Of Fashion-MNIST's classes: the mean distance among five pieces of clothing over that between
/// them and shoes and bags.
std::optional<RunNumber> clothes_ratio(const RunRecord& run);

}  // namespace pal
