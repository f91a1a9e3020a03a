#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "experiments/measures/corruption_errors.h"
#include "experiments/robustness/robustness_study.h"
#include "experiments/trust/estimate.h"

namespace pal {

/// What one corruption does to one model: errors, and how well its images are told from clean ones.
struct CorruptionRow {
  std::string corruption;
  bool extra = false;
  bool texture = false;  ///< frost without photographs

  /// What tables call it.
  std::string title() const;
  struct Severity {
    int severity = 0;
    double error = 0.0, ce = 0.0, ece = 0.0;
    double entropy_gain = 0.0;  ///< mean predictive entropy beyond that of clean images, nats
  };
  std::vector<Severity> severities;
  CorruptionError errors;
  double entropy_gain = 0.0;  ///< over the severities, nats
  /// AUC of the quantile test of densities, the images of all severities together against training
  /// images (the paper's Table 3) and against the clean ones; none without a density.
  std::optional<Estimate> auc, auc_clean;
  /// AUC of the predictive entropy against clean images.
  Estimate auc_entropy;
};

/// A model's robustness. Means are over the corruptions that are not extra.
struct RobustnessReport {
  std::string label, checkpoint, dataset;
  int64_t images = 0;   ///< clean ones
  int64_t counted = 0;  ///< corruptions that means are over
  bool has_density = false;
  bool names_classes = true;  ///< else errors say nothing: trained at beta 0
  double clean_error = 0.0, clean_ce = 0.0, clean_ece = 0.0;
  std::vector<CorruptionRow> rows;
  CorruptionMeans means;
  std::optional<double> mean_auc, mean_auc_clean;
  double mean_auc_entropy = 0.0, mean_entropy_gain = 0.0;
};

/// The errors that --mce-reference means: "alexnet" or a file, by our names of corruptions. Throws
/// data for a broken file and usage for one that names an unknown corruption.
ReferenceErrors reference_of(const std::string& text);

/// Measures of a study; a reference may be null. `frost_texture`: no photographs were at hand.
RobustnessReport report_of(const ModelStudy& study, const ReferenceErrors* reference,
                           bool frost_texture);

/// Tables for people: Table 3 (85 and more is marked ++, above 55 +) and the errors; shares in
/// percent.
std::string to_text(const std::vector<RobustnessReport>& reports, const ReferenceErrors* reference);
/// One JSON object; shares in [0, 1].
std::string to_json(const std::vector<RobustnessReport>& reports, const ReferenceErrors* reference,
                    bool frost_texture);

/// Writes into a folder: table3.csv and table3.svg (AUC by corruption and model, coloured as the
/// paper has it), corruptions.csv (a line for each model, corruption and severity), means.csv, and
/// of all five severities errors/LABEL.csv, which can be a reference for others; `json` as
/// robustness.json. Throws environment.
void write_robustness(const std::string& folder, const std::vector<RobustnessReport>& reports,
                      const std::string& json);

}  // namespace pal
