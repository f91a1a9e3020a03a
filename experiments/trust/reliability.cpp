#include "experiments/trust/reliability.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "experiments/measures/jackknife.h"
#include "experiments/measures/risk_coverage.h"

namespace pal {

Reliability reliability_of(const EvaluationResult& result) {
  const auto& images = result.images;
  Reliability r;
  r.nll = mean_of(images, [](const ImageResult& i) { return i.cross_entropy; });
  r.brier = mean_of(images, [](const ImageResult& i) { return i.brier; });
  r.adaptive_ece = {adaptive_ece(images), jackknife_error(images, adaptive_ece)};
  if (result.classwise)
    r.classwise_ece = {result.classwise->ece(), result.classwise->standard_error()};
  if (!images.empty()) r.aurc = {aurc(images), jackknife_error(images, aurc)};
  r.error_auc = error_auc(images);
  return r;
}

Estimate bits_per_dim_of(const EvaluationResult& result) {
  // It differs from L_X by a factor and a constant.
  const Estimate bits =
      mean_of(result.images, [](const ImageResult& i) { return -i.log_density / std::log(2.0); });
  return {result.summary.bits_per_dim, bits.error};
}

std::string calibration_csv(const EvaluationResult& result) {
  std::string csv = "low,high,middle,entries,positives,rate,rate_error\n";
  for (const CalibrationBin& bin : result.calibration.bins())
    fmt::format_to(std::back_inserter(csv), "{},{},{},{},{},{},{}\n", bin.low, bin.high,
                   bin.middle(), bin.entries, bin.positives, bin.rate(), bin.rate_error());
  return csv;
}

std::string risk_csv(const EvaluationResult& result) {
  std::string csv = "coverage,risk\n";
  const std::vector<double> risk = risk_by_coverage(result.images);
  for (size_t k = 0; k < risk.size(); ++k)
    fmt::format_to(std::back_inserter(csv), "{},{}\n",
                   static_cast<double>(k + 1) / static_cast<double>(risk.size()), risk[k]);
  return csv;
}

}  // namespace pal
