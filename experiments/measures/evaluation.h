#pragma once
#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "experiments/measures/calibration.h"
#include "experiments/measures/metrics.h"
#include "experiments/measures/shared_images.h"
#include "layers/models/model_io.h"

namespace pal {

/// What a model says about the classes of one image, by the class's number.
struct ClassScores {
  std::span<const double> scores;
  std::span<const double> probabilities;  ///< q(y|x)
};

/// How images are evaluated.
struct EvaluationSpec {
  int64_t batch_size = 500;
  /// Of the mixed loss L = (L_X + beta L_Y) / (1 + beta).
  double beta = 1.0;
  /// Label smoothing of L_Y and the class-conditional loss.
  double smoothing = 0.05;
  /// Dequantisation noise, keyed by the seed and the image: bits/dim bounds a code length only
  /// with it; scores that are compared between image sets must go without.
  bool noise = true;
  uint64_t seed = 0;
  /// The labels are not the model's: every image counts as class 0, and only the densities mean
  /// anything.
  bool foreign = false;
  /// The model's class for each class of the set; empty: the same numbers.
  std::vector<int32_t> class_of_label;
  /// The classes that an image can have, ascending: answers are chosen among them alone, and q(y|x)
  /// is theirs; empty: all. Densities are the model's.
  std::vector<int32_t> among;
  /// Called with each image's result, in their order; what it is given is valid until it returns.
  std::function<void(const ImageResult&, const ClassScores&)> observe;
  /// Images of the set, in this order; none: all.
  std::vector<int64_t> indices;
  /// How encoded pictures are decoded. Under ten crops the softmax vectors of the views are
  /// averaged and densities are means over the views (experiments/measures/README.md, 4).
  TransformSpec transform;
  int64_t workers = 1;
  BadImageLog* bad_images = nullptr;
  /// Asked before each batch: true ends the evaluation with Interrupted.
  std::function<bool()> stop;
  /// Ranks that share the images batch by batch and all know everything in the end, with the bits
  /// that one process would find; exchanges tensors on the CPU. Null: this process alone.
  Communicator* ranks = nullptr;
};

/// What an evaluation found, image by image and in all.
struct EvaluationResult {
  std::vector<ImageResult> images;
  EvaluationSummary summary;
  OneVersusAll calibration;
  std::optional<ClasswiseCalibration> classwise;
  double loss = 0.0;  ///< L of the given beta, mean over the images
  /// False for a model that only classifies (a ResNet): then log-densities, L_X and bits mean
  /// nothing.
  bool has_density = true;
  double images_per_s = 0.0;
};

/// The images that evaluate_model looks at; labels are the set's, which must outlive them.
SharedImages evaluation_images(const Model& model, const InputSpec& input, const Dataset& set,
                               const EvaluationSpec& spec);
/// The model's class of a label of the set.
int32_t class_of(const EvaluationSpec& spec, int32_t label);

/// What a model says of the images of a batch, before it is judged; one number of each list is an
/// image's, but for the scores of all classes.
struct BatchAnswers {
  std::vector<int64_t> indices;    ///< in the set
  std::vector<int32_t> labels;     ///< classes of the model
  std::vector<double> loss_x;      ///< mean over the views
  std::vector<double> loss_class;  ///< mean over the views
  std::vector<double> scores;      ///< [n, classes of the model], the views' taken together

  void add_to(Message& message) const;
  static BatchAnswers from(Message& message);
};

/// What one model says of images that come batch by batch, in the evaluation phase, without
/// gradients; several models can so share one reading of the images.
class EvaluationPass {
 public:
  /// Keeps references to the model and the input; `count` images are to come.
  EvaluationPass(Model& model, const InputSpec& input, const std::string& set, EvaluationSpec spec,
                 int64_t count);

  /// What the model says of a batch, whose labels are the set's and stay.
  BatchAnswers answers(const Batch& batch);
  /// Adds the images of a batch. Throws numerics, naming the image, for a loss that is not finite.
  void judge(const BatchAnswers& answers);
  /// What was found; the pass is over.
  EvaluationResult finish();

 private:
  /// Classes that answers are among.
  int64_t scored_classes() const;

  Model& model_;
  const InputSpec& input_;
  std::string set_;
  EvaluationSpec spec_;
  LossSpec loss_;
  EvaluationResult result_;
  std::chrono::steady_clock::time_point start_;
};

/// One pass over all images that `spec` names. The result does not depend on the batch size but for
/// rounding in the network, nor on the number of ranks. Throws as EvaluationPass, on all ranks what
/// is found on any.
EvaluationResult evaluate_model(Model& model, const InputSpec& input, const Dataset& set,
                                const EvaluationSpec& spec);

/// The ln q(x) / D of each image: the scores of out-of-distribution tests.
std::vector<double> log_densities(const EvaluationResult& result);

}  // namespace pal
