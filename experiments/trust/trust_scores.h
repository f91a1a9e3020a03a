#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/sets/dataset.h"
#include "experiments/measures/evaluation.h"
#include "experiments/measures/scored_images.h"
#include "layers/models/model_io.h"

namespace pal {

/// What a model says of images before any calibration, noise-free (experiments/measures/README.md,
/// 12). The lists are of one length; a model without a density leaves the last two empty.
struct TrustScores {
  ScoredImages classes;
  std::vector<double> log_density;  ///< ln q(x) / D of the network's input
  /// Density against complexity: nats per dimension that the model needs for the image's levels
  /// beyond those of its PNG file (Serra and others 2020).
  std::vector<double> excess;
};

/// Adds the scores of normalised, noise-free images [n, h, w, c] on the model's device. `labels`
/// [n], or empty where there are none (then 0). Throws numerics for scores that are not finite.
void add_trust_scores(Model& model, const InputSpec& input, const Tensor& images,
                      std::span<const int32_t> labels, TrustScores& scores);

/// The same of losses that the model has given for these images.
void add_trust_scores(const LossResult& losses, const Model& model, const InputSpec& input,
                      const Tensor& images, std::span<const int32_t> labels, TrustScores& scores);

/// Those of the images that `spec` names, one view each, in their order; the same on all ranks.
TrustScores trust_scores(Model& model, const InputSpec& input, const Dataset& set,
                         const EvaluationSpec& spec);

/// Bits per dimension of an 8-bit image's PNG file (zlib level 1, filters as libpng chooses).
double png_bits_per_dim(const Image& image);

}  // namespace pal
