#pragma once
#include <optional>
#include <string>

#include "experiments/evaluation/evaluated_sets.h"
#include "experiments/measures/class_match.h"
#include "experiments/report/evaluation_report.h"
#include "experiments/trust/array_metadata.h"
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

  // For programs that measure something else of the same images. All are scored noise-free.

  const LoadedModel& loaded() const { return loaded_; }
  const std::string& path() const { return path_; }
  std::optional<double> beta() const { return beta_; }
  /// Which part of the set the evaluated images are: train, val, test, all or held-out.
  const std::string& part() const { return part_; }
  ChoseCheckpoint chose() const { return chose_; }
  /// Images of a set, and how they are read.
  struct Images {
    const OpenedSet& from;
    EvaluationSpec spec;
    /// How files become images, for results that are kept: "resize 256, exif true"; empty for a set in memory.
    std::string reading() const;
  };
  Images evaluated_images() const;
  /// At most `most` of the images that the model was trained on (reference_indices).
  Images reference_images(int64_t most, uint64_t seed);
  /// Those of a foreign set, as --ood names it, or `heldout:CLASS,...`: the evaluated part's images
  /// of classes that the model was trained without. At most `most` of them, evenly spread; 0: all.
  /// Throws usage naming options.foreign_flag for images of another size or unknown classes.
  Images foreign_images(const std::string& name, int64_t most = 0);
  /// The calibration that belongs to the model, or that the options name; null: there is none.
  const ModelCalibration* calibration();

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
  /// Accuracy, losses and bits/dim, with and without noise; hands each image to `observe`, if any.
  void measure(CheckpointReport& report, decltype(EvaluationSpec::observe) observe);
  /// Accuracy of the run's own test images of the same classes, among these, where a set has only
  /// some of the model's; none where the run's data are not to be had or have no test part.
  std::optional<double> own_accuracy_among();
  /// Bits/dim of the evaluated images under independent Gaussians fitted to the training images.
  double gaussian_bits();
  /// How well each foreign set is told from the evaluated images, whose noise-free result is given.
  std::vector<OodReport> tell_foreign(const EvaluationResult& clean);
  /// Looks for the calibration that belongs to the model, unless it is there.
  void find_calibration();
  /// How images are read whose labels are not the model's.
  EvaluationSpec unlabelled_spec() const;
  /// Refuses held-out classes that the model was not trained without.
  void expect_held_out_classes(const std::string& name) const;
  /// Scores of images that `spec` names, noise-free.
  TrustScores scores_of(const OpenedSet& from, const EvaluationSpec& spec);
  /// Those of the evaluated images, made once.
  const TrustScores& own_scores();
  void save_latents();
  /// Which images are evaluated, in words.
  std::string images_in_words() const;
  /// array_metadata of this model and these images, with the file's name, step and class names.
  std::map<std::string, std::string> metadata_of(const std::string& kind,
                                                 const std::vector<ArrayField>& fields) const;

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
