#include "experiments/robustness/foreign_scores.h"

#include <utility>

#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

constexpr std::pair<ForeignScore, const char*> kScoreNames[] = {
    {ForeignScore::quantile, "quantile"},
    {ForeignScore::one_tailed, "one-tailed"},
    {ForeignScore::typicality, "typicality"},
    {ForeignScore::complexity, "complexity"},
    {ForeignScore::latent, "latent"},
    {ForeignScore::latent_mean, "latent-mean"},
    {ForeignScore::density_of_states, "states"},
    {ForeignScore::entropy, "entropy"},
    {ForeignScore::max_posterior, "max-posterior"},
    {ForeignScore::familiarity, "familiarity"},
};

using Statistic = double ImageStatistics::*;

/// What the density of states is of (Morningstar and others 2021), and for our networks complexity.
constexpr Statistic kStates[] = {&ImageStatistics::log_density, &ImageStatistics::latent_norm,
                                 &ImageStatistics::log_det, &ImageStatistics::entropy,
                                 &ImageStatistics::complexity};

std::vector<double> column(const std::vector<ImageStatistics>& images, Statistic statistic) {
  std::vector<double> values;
  values.reserve(images.size());
  for (const ImageStatistics& image : images) values.push_back(image.*statistic);
  return values;
}

}  // namespace

const char* name_of(ForeignScore score) {
  for (const auto& [known, name] : kScoreNames)
    if (known == score) return name;
  fail(ErrorKind::failure, "name_of: no such score");
}

std::vector<ForeignScore> all_foreign_scores() {
  std::vector<ForeignScore> scores;
  for (const auto& [score, name] : kScoreNames) scores.push_back(score);
  return scores;
}

bool needs_density(ForeignScore score) {
  return score != ForeignScore::entropy && score != ForeignScore::max_posterior;
}

std::optional<OodTest> test_of(ForeignScore score) {
  switch (score) {
    case ForeignScore::quantile:
      return OodTest::quantile;
    case ForeignScore::one_tailed:
      return OodTest::one_tailed;
    case ForeignScore::typicality:
      return OodTest::typicality;
    default:
      return std::nullopt;
  }
}

ForeignReference::ForeignReference(const std::vector<ImageStatistics>& images, bool has_density) {
  expect(!images.empty(), "ForeignReference: no images");
  if (!has_density) return;
  std::vector<KernelDensity> states;
  for (const Statistic statistic : kStates) states.emplace_back(column(images, statistic));
  densities_.emplace(Densities{OodReference(column(images, &ImageStatistics::log_density)),
                               OodReference(column(images, &ImageStatistics::distance)),
                               OodReference(column(images, &ImageStatistics::mean_distance)),
                               std::move(states)});
}

double ForeignReference::value(ForeignScore score, const ImageStatistics& image) const {
  if (const auto test = test_of(score))
    return densities_->log_density.unfamiliarity(*test, image.log_density);
  switch (score) {
    case ForeignScore::complexity:
      return image.excess;
    case ForeignScore::latent:
      return densities_->distance.unfamiliarity(OodTest::typicality, image.distance);
    case ForeignScore::latent_mean:
      return densities_->mean_distance.unfamiliarity(OodTest::typicality, image.mean_distance);
    case ForeignScore::entropy:
      return image.entropy;
    case ForeignScore::max_posterior:
      return 1.0 - image.confidence;
    case ForeignScore::familiarity:
      return 1.0 - image.familiarity;
    default:
      break;
  }
  double sum = 0.0;
  for (size_t k = 0; k < std::size(kStates); ++k)
    sum -= densities_->states[k].log_density(image.*kStates[k]);
  return sum;
}

std::vector<double> ForeignReference::values(ForeignScore score,
                                             const std::vector<ImageStatistics>& images) const {
  expect(densities_ || !needs_density(score), "{}: the model has no density", name_of(score));
  std::vector<double> found(images.size());
  parallel_for(static_cast<int64_t>(images.size()), 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      found[static_cast<size_t>(i)] = value(score, images[static_cast<size_t>(i)]);
  });
  return found;
}

}  // namespace pal
