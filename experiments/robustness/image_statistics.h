#pragma once
#include <cstdint>
#include <vector>

#include "data/sets/dataset.h"
#include "experiments/measures/evaluation.h"
#include "experiments/trust/model_calibration.h"

namespace pal {

/// What a model says of an image, noise-free, as far as it tells foreign images
/// (experiments/measures/README.md, 17). Those of a density are 0 for a model that has none.
struct ImageStatistics {
  int64_t index = 0;           ///< in its set
  double entropy = 0.0;        ///< predictive, nats
  double confidence = 0.0;     ///< largest q(y|x)
  double log_density = 0.0;    ///< ln q(x) / D
  double complexity = 0.0;     ///< of its PNG file, nats per dimension
  double excess = 0.0;         ///< nats per dimension of the density's code beyond the PNG's
  double distance = 0.0;       ///< ||z - mu_y||^2 / D, y the likeliest class
  double mean_distance = 0.0;  ///< the same of the mean-pooled dimensions, per such dimension
  double latent_norm = 0.0;    ///< ||z||^2 / D
  double log_det = 0.0;        ///< ln|det J| / D
  double familiarity = 1.0;    ///< the calibration's p-value; 1 without one
};

/// Those of the images that `spec` names, in their order, from one pass, the same on all ranks;
/// `calibration` may be null.
/// Throws numerics for a model that has diverged.
std::vector<ImageStatistics> image_statistics(Model& model, const InputSpec& input,
                                              const Dataset& set, const EvaluationSpec& spec,
                                              const ModelCalibration* calibration);

}  // namespace pal
