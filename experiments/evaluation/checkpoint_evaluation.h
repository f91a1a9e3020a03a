#pragma once
#include <optional>
#include <string>

#include "experiments/evaluation/evaluated_sets.h"
#include "experiments/measures/class_match.h"
#include "experiments/report/evaluation_csv.h"
#include "experiments/report/evaluation_report.h"
#include "experiments/trust/model_calibration.h"

namespace pal {

/// One checkpoint on its way through pal-evaluate: loaded once, then one method per measure.
class CheckpointEvaluation {
 public:
  /// Loads the model of options.checkpoints[which] onto the device and opens the set it is
  /// evaluated on; keeps references to `options` and `sets`. Throws usage if model, options and
  /// sets do not fit each other, data for a file that is none of ours or broken.
  CheckpointEvaluation(const EvaluateOptions& options, Device device, size_t which,
                       EvaluatedSets& sets);

  /// All that the options ask for.
  CheckpointReport run();

  const std::string& path() const { return path_; }
  LoadedModel& loaded() { return loaded_; }
  /// The images that are evaluated and how, noise-free.
  const OpenedSet& evaluated() const { return *evaluated_; }
  const EvaluationSpec& spec() const { return spec_; }
  /// Densities of images that the model was trained on, noise-free. Throws usage where there are
  /// none to be had.
  OodReference reference();

 private:
  void check_fit();
  /// Says which images are evaluated: those that chose the checkpoint may be among them.
  void choose_images();
  /// Where the images that the model was trained on come from, or those of the same set.
  DatasetSpec training_data() const;
  /// Averages the batch-norm statistics over training batches.
  void recalibrate();
  /// Fits a calibration to the images that the run held out, writes it and tries it on the
  /// evaluated ones; where these are the same, every second one is for either.
  TrustReport calibrate();
  EvaluationResult evaluate(const OpenedSet& from, const EvaluationSpec& spec);
  /// Accuracy, losses and bits/dim, with and without noise; fills `table` unless that is null.
  void measure(CheckpointReport& report, ImageTable* table);
  /// Bits/dim of the evaluated images under independent Gaussians fitted to the training images.
  double gaussian_bits();
  /// How images without labels of the model's are evaluated: all of a set.
  EvaluationSpec unlabelled() const;
  /// How well each foreign set is told from the evaluated images, whose noise-free result is given.
  std::vector<OodReport> tell_foreign(const EvaluationResult& clean);
  /// The calibration that belongs to the model, if there is one and images are to be told by it.
  void find_calibration();
  /// Scores of images that `spec` names, noise-free.
  TrustScores scores_of(const OpenedSet& from, const EvaluationSpec& spec);
  /// Those of the evaluated images, made once.
  const TrustScores& own_scores();
  void save_latents();

  bool has_density() const { return loaded_.model->has_density(); }

  const EvaluateOptions& options_;
  const std::string path_;
  EvaluatedSets& sets_;
  LoadedModel loaded_;
  TrainingRecipe recipe_;
  std::optional<double> beta_;  // of the training loss, if it is known
  DatasetSpec data_;
  const OpenedSet* evaluated_ = nullptr;
  std::string part_;  // of the set that is evaluated
  ChoseCheckpoint chose_ = ChoseCheckpoint::no;
  ClassMatch classes_;
  EvaluationSpec spec_;  // noise-free, of the images to evaluate
  std::optional<ModelCalibration> calibration_;
  std::optional<TrustScores> own_scores_;
};

}  // namespace pal
