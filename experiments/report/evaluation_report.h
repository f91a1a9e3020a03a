#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/measures/evaluation.h"
#include "experiments/measures/ood_score.h"
#include "experiments/report/published.h"
#include "experiments/trust/trust_report.h"

namespace pal {

/// How well one model tells a foreign image set by its densities (areas under ROC curves).
struct OodReport {
  std::string set;
  int64_t images = 0;
  int64_t reference = 0;  ///< training images that the tests know
  struct Row {
    OodTest test;
    double against_clean = 0.5;      ///< the negatives are the evaluated images
    double against_reference = 0.5;  ///< the negatives are the reference itself
    double error = 0.0;              ///< standard error of against_clean (DeLong)
  };
  std::vector<Row> rows;
  std::vector<double> log_densities;  ///< noise-free ln q(x)/D of its images
  /// By the p-values of familiarity, against the evaluated images; none without a calibration.
  std::optional<double> familiarity;

  /// The row of one test, which must be there.
  const Row& row(OodTest test) const;
};

/// Compares noise-free densities: `clean` of the evaluated images, `foreign` of the other set.
OodReport compare_densities(const std::string& set, const OodReference& reference,
                            const std::vector<double>& clean, const std::vector<double>& foreign);

/// Whether the evaluated images chose the checkpoint, which makes its numbers optimistic.
enum class ChoseCheckpoint : uint8_t { no, perhaps, yes };
/// "", " (perhaps chose the checkpoint)" or " (chose the checkpoint)".
const char* remark_of(ChoseCheckpoint chose);

/// All that pal-evaluate says about one checkpoint.
struct CheckpointReport {
  std::string checkpoint;
  std::string dataset;
  std::string split;  ///< train, val, test, all, or held-out (of the training images)
  ChoseCheckpoint chose = ChoseCheckpoint::no;
  int64_t classes = 0;  ///< of the model
  /// Classes of the images, of which answers are chosen, if they are fewer; 0: all.
  int64_t classes_among = 0;
  /// Accuracy among the same classes on the run's own test images of them, noise-free: what the
  /// accuracy here is to be compared with.
  std::optional<double> own_among;
  /// Of the training loss; infinity: classes alone; none: unknown.
  std::optional<double> beta;
  int64_t crops = 1;
  /// Messages about pictures that were left out, by the picture's index in the set.
  std::map<int64_t, std::string> bad_images;
  EvaluationResult noisy;  ///< with dequantisation noise: the numbers to quote
  EvaluationResult clean;  ///< without that noise, like the published evaluation
  /// L_X with the log-determinant that the published implementation reports, where that differs.
  std::optional<double> loss_x_released;
  /// The paper's figures for this beta, if they are wanted; null: it has none.
  const PublishedEvaluation* published = nullptr;
  /// Only for models of the published table of ImageNet results.
  std::optional<double> bits_paper;
  std::optional<double> bits_gaussian;
  std::vector<OodReport> ood;
  std::optional<TrustReport> trust;
  int64_t peak_bytes = 0;  ///< of all memory in use on the device
  /// Peak of what was held from a GPU's driver; 0 on the CPU.
  int64_t reserved_bytes = 0;
};

/// Thresholds at which overconfidence is reported.
inline constexpr double kConfidenceThresholds[] = {0.997, 0.99, 0.95};
/// The paper's among them.
inline constexpr double kOceThreshold = kConfidenceThresholds[0];

/// L_X of the noise-free images as the published code reports it: for the column bits_paper.
double released_loss_x(const CheckpointReport& report);

/// The reports as tables for people; shares in percent.
std::string to_text(const std::vector<CheckpointReport>& reports);
/// The report as one JSON object; shares in [0, 1].
std::string to_json(const CheckpointReport& report);
/// Puts the keys of to_json into a JSON file, keeping its other keys; makes the file if there is
/// none. Throws data if it holds no JSON object.
void merge_summary(const std::string& path, const CheckpointReport& report);

}  // namespace pal
