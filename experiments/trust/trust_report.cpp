#include "experiments/trust/trust_report.h"

#include <algorithm>
#include <cmath>

#include "experiments/measures/calibration.h"
#include "experiments/measures/jackknife.h"
#include "runtime/error.h"

namespace pal {
namespace {

Estimate ece_of(const std::vector<ImageResult>& images) {
  return {top_label_ece(images), jackknife_error(images, top_label_ece)};
}

std::vector<ImageResult> judged(const ScoredImages& images, double temperature) {
  std::vector<ImageResult> results;
  std::vector<double> scaled(static_cast<size_t>(images.classes));
  std::vector<double> q(scaled.size());
  for (int64_t i = 0; i < images.count(); ++i) {
    std::ranges::transform(images.row(i), scaled.begin(),
                           [&](double score) { return score / temperature; });
    results.push_back(judge_scores(scaled, images.labels[static_cast<size_t>(i)], 0.0, q));
  }
  return results;
}

}  // namespace

std::vector<double> familiarity_of(const ModelCalibration& calibration, const TrustScores& scores) {
  std::vector<double> p;
  for (int64_t i = 0; i < scores.classes.count(); ++i) {
    const auto at = static_cast<size_t>(i);
    p.push_back(calibration
                    .familiarity(scores.log_density[at], scores.excess[at],
                                 calibration.posterior(scores.classes.row(i)))
                    .p);
  }
  return p;
}

TrustReport try_calibration(const ModelCalibration& calibration, const TrustScores& scores) {
  const ScoredImages& images = scores.classes;
  expect(images.count() > 0, "try_calibration: no images");
  const auto n = static_cast<double>(images.count());
  TrustReport report;
  report.held_out = calibration.count();
  report.images = images.count();
  report.temperature = calibration.temperature();
  const auto entropy = [](const ImageResult& r) { return r.cross_entropy; };
  const std::vector<ImageResult> raw = judged(images, 1.0);
  const std::vector<ImageResult> tempered = judged(images, report.temperature);
  report.nll = mean_of(raw, entropy);
  report.nll_tempered = mean_of(tempered, entropy);
  report.ece = ece_of(raw);
  report.ece_tempered = ece_of(tempered);
  for (const double level : ModelCalibration::kLevels)
    report.sets.push_back(
        {.level = level,
         .error = std::sqrt(level * (1.0 - level) *
                            (1.0 / static_cast<double>(report.held_out) + 1.0 / n))});
  if (calibration.has_density()) {
    const std::vector<double> familiarity = familiarity_of(calibration, scores);
    for (const double p : {0.05, 0.01})
      report.unfamiliar.push_back(
          {p, mean_of(familiarity, [p](double found) { return found <= p ? 1.0 : 0.0; }).value});
  }
  for (int64_t i = 0; i < images.count(); ++i) {
    const auto at = static_cast<size_t>(i);
    const std::vector<double> q = calibration.posterior(images.row(i));
    for (TrustReport::Set& set : report.sets) {
      const std::vector<int32_t> classes = calibration.class_set(q, set.level);
      set.mean_size += static_cast<double>(classes.size()) / n;
      set.coverage +=
          std::ranges::find(classes, images.labels[at]) != classes.end() ? 1.0 / n : 0.0;
    }
  }
  return report;
}

}  // namespace pal
