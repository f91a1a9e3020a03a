#pragma once
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "experiments/measures/calibration.h"
#include "experiments/measures/metrics.h"
#include "layers/models/model_io.h"

namespace pal {

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
  /// Images of the set, in this order; none: all.
  std::vector<int64_t> indices;
  /// How encoded pictures are decoded. Under ten crops the softmax vectors of the views are
  /// averaged and densities are means over the views (experiments/measures/README.md, 4).
  TransformSpec transform;
  int64_t workers = 1;
  BadImageLog* bad_images = nullptr;
};

/// What an evaluation found, image by image and in all.
struct EvaluationResult {
  std::vector<ImageResult> images;
  EvaluationSummary summary;
  OneVersusAll calibration;
  double loss = 0.0;  ///< L of the given beta, mean over the images
  /// False for a model that only classifies (a ResNet): then log-densities, L_X and bits mean
  /// nothing.
  bool has_density = true;
  double images_per_s = 0.0;
};

/// One pass over images in the evaluation phase, without gradients. The result does not depend on
/// the batch size but for rounding in the network. Throws numerics, naming the image, for a loss
/// that is not finite.
EvaluationResult evaluate_model(Model& model, const InputSpec& input, const Dataset& set,
                                const EvaluationSpec& spec);

/// The ln q(x) / D of each image: the scores of out-of-distribution tests.
std::vector<double> log_densities(const EvaluationResult& result);

}  // namespace pal
