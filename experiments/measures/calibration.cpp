#include "experiments/measures/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace pal {
namespace {

constexpr std::array<double, 18> kEdges = {-1e-6, 0.0125, 0.025,  0.0375, 0.05,   0.15,
                                           0.25,  0.35,   0.45,   0.55,   0.65,   0.75,
                                           0.85,  0.95,   0.9625, 0.975,  0.9875, 1.0 + 1e-6};
constexpr size_t kTopBins = 15;

double gap(const CalibrationBin& bin) { return std::abs(bin.middle() - bin.rate()); }

}  // namespace

double CalibrationBin::rate() const {
  return entries == 0 ? 0.0 : static_cast<double>(positives) / static_cast<double>(entries);
}

double CalibrationBin::rate_error() const {
  if (entries == 0) return 0.0;
  return rate() * std::sqrt(1.0 / (static_cast<double>(positives) + 1.0) +
                            1.0 / static_cast<double>(entries));
}

OneVersusAll::OneVersusAll() {
  for (size_t i = 0; i + 1 < kEdges.size(); ++i) bins_.push_back({kEdges[i], kEdges[i + 1]});
}

void OneVersusAll::add(std::span<const double> probabilities, int32_t label) {
  for (size_t y = 0; y < probabilities.size(); ++y) {
    const auto above = std::upper_bound(kEdges.begin() + 1, kEdges.end() - 1, probabilities[y]);
    CalibrationBin& bin = bins_[static_cast<size_t>(above - kEdges.begin()) - 1];
    ++bin.entries;
    if (static_cast<int64_t>(y) == label) ++bin.positives;
  }
}

double OneVersusAll::ece() const {
  double sum = 0.0;
  int64_t entries = 0;
  for (const CalibrationBin& bin : bins_) {
    if (!bin.kept()) continue;
    sum += static_cast<double>(bin.entries) * gap(bin);
    entries += bin.entries;
  }
  return entries == 0 ? 0.0 : sum / static_cast<double>(entries);
}

double OneVersusAll::mce() const {
  double largest = 0.0;
  for (const CalibrationBin& bin : bins_)
    if (bin.kept()) largest = std::max(largest, gap(bin));
  return largest;
}

double Overconfidence::value() const {
  if (confident == 0) return 0.0;
  return static_cast<double>(errors) / static_cast<double>(confident) / (1.0 - threshold);
}

double Overconfidence::standard_error() const {
  if (confident == 0) return 0.0;
  const double rate = static_cast<double>(errors) / static_cast<double>(confident);
  return std::sqrt(rate * (1.0 - rate) / static_cast<double>(confident)) / (1.0 - threshold);
}

Overconfidence overconfidence(const std::vector<ImageResult>& results, double threshold) {
  Overconfidence found;
  found.threshold = threshold;
  for (const ImageResult& r : results) {
    if (r.confidence <= threshold) continue;
    ++found.confident;
    if (r.rank != 0) ++found.errors;
  }
  return found;
}

double top_label_ece(const std::vector<ImageResult>& results) {
  std::array<double, kTopBins> difference{};
  for (const ImageResult& r : results) {
    const auto bin = static_cast<size_t>(r.confidence * static_cast<double>(kTopBins));
    difference[std::min(bin, kTopBins - 1)] += r.confidence - (r.rank == 0 ? 1.0 : 0.0);
  }
  // n_b / n |mean confidence - accuracy| is the size of the bin's summed difference over n.
  double sum = 0.0;
  for (const double d : difference) sum += std::abs(d);
  return results.empty() ? 0.0 : sum / static_cast<double>(results.size());
}

}  // namespace pal
