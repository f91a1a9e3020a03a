#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "experiments/measures/kernel_density.h"
#include "experiments/measures/ood_score.h"
#include "experiments/robustness/image_statistics.h"

namespace pal {

/// How foreign images are told (experiments/measures/README.md, 17); the headline of a density
/// first.
enum class ForeignScore : uint8_t {
  quantile,           ///< two-tailed in the reference's distribution of ln q(x)/D
  one_tailed,         ///< -ln q(x)/D
  typicality,         ///< distance of ln q(x)/D from the reference's mean
  complexity,         ///< -ln q(x)/D less the PNG's nats per dimension
  latent,             ///< typicality of ||z - mu_y||^2
  latent_mean,        ///< the same of the mean-pooled part
  density_of_states,  ///< -ln of the product of five kernel densities
  entropy,            ///< predictive
  max_posterior,      ///< 1 - max q(y|x): the headline of a network that only classifies
  familiarity,        ///< 1 - p of the calibration
};

/// "quantile", "one-tailed", ...: in options, tables, CSV and JSON.
const char* name_of(ForeignScore score);
/// All, the headline first.
std::vector<ForeignScore> all_foreign_scores();
/// Whether the score is of a density.
bool needs_density(ForeignScore score);
/// The test on ln q(x)/D that a score is, if it is one.
std::optional<OodTest> test_of(ForeignScore score);

/// What images of the training set are like: the scores of others are against them.
class ForeignReference {
 public:
  /// Throws usage for no images.
  ForeignReference(const std::vector<ImageStatistics>& images, bool has_density);

  /// The tests on ln q(x)/D; the model must have a density.
  const OodReference& density() const { return densities_->log_density; }
  /// A value for each image that is the higher the more foreign it is. Throws usage for a score of
  /// a density that the model does not have.
  std::vector<double> values(ForeignScore score, const std::vector<ImageStatistics>& images) const;

 private:
  double value(ForeignScore score, const ImageStatistics& image) const;

  struct Densities {
    OodReference log_density, distance, mean_distance;
    std::vector<KernelDensity> states;
  };
  std::optional<Densities> densities_;
};

}  // namespace pal
