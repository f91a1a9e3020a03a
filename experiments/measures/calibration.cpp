#include "experiments/measures/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "experiments/measures/jackknife.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr std::array<double, 18> kEdges = {-1e-6, 0.0125, 0.025,  0.0375, 0.05,   0.15,
                                           0.25,  0.35,   0.45,   0.55,   0.65,   0.75,
                                           0.85,  0.95,   0.9625, 0.975,  0.9875, 1.0 + 1e-6};
constexpr size_t kEqualBins = 15;

double gap(const CalibrationBin& bin) { return std::abs(bin.middle() - bin.rate()); }

/// The bin (low, high] of a confidence; 0 lies in the first.
size_t equal_bin(double confidence) {
  const double bin = std::ceil(confidence * static_cast<double>(kEqualBins)) - 1.0;
  return static_cast<size_t>(std::clamp(bin, 0.0, static_cast<double>(kEqualBins - 1)));
}

/// What an image adds to its bin's sum of confidence - accuracy.
double surplus(const ImageResult& r) { return r.confidence - (r.rank == 0 ? 1.0 : 0.0); }

/// The sum over bins of n_b / n |mean confidence - accuracy|, from the bins' sums of differences.
template <typename Sums>
double mean_gap(const Sums& differences, double n) {
  double sum = 0.0;
  for (const double d : differences) sum += std::abs(d);
  return n == 0.0 ? 0.0 : sum / n;
}

}  // namespace

double sorted_quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  if (below + 1 >= sorted.size()) return sorted.back();
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[below + 1] - sorted[below]);
}

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
  std::array<double, kEqualBins> difference{};
  for (const ImageResult& r : results) difference[equal_bin(r.confidence)] += surplus(r);
  return mean_gap(difference, static_cast<double>(results.size()));
}

double adaptive_ece(const std::vector<ImageResult>& results) {
  if (results.empty()) return 0.0;
  std::vector<double> sorted;
  for (const ImageResult& r : results) sorted.push_back(r.confidence);
  std::ranges::sort(sorted);
  std::array<double, kEqualBins> upper{};
  for (size_t i = 0; i < kEqualBins; ++i)
    upper[i] =
        sorted_quantile(sorted, static_cast<double>(i + 1) / static_cast<double>(kEqualBins));
  std::array<double, kEqualBins> difference{};
  for (const ImageResult& r : results) {
    const auto bin =
        static_cast<size_t>(std::ranges::lower_bound(upper, r.confidence) - upper.begin());
    difference[std::min(bin, kEqualBins - 1)] += surplus(r);
  }
  return mean_gap(difference, static_cast<double>(results.size()));
}

ClasswiseCalibration::ClasswiseCalibration(int64_t classes)
    : classes_(classes),
      group_images_(kJackknifeGroups),
      difference_(static_cast<size_t>(kJackknifeGroups * classes) * kEqualBins) {}

void ClasswiseCalibration::add(std::span<const double> probabilities, int32_t label) {
  expect(static_cast<int64_t>(probabilities.size()) == classes_,
         "ClasswiseCalibration: {} probabilities of {} classes", probabilities.size(), classes_);
  const int64_t group = images_++ % kJackknifeGroups;
  ++group_images_[static_cast<size_t>(group)];
  for (int64_t y = 0; y < classes_; ++y) {
    const double q = probabilities[static_cast<size_t>(y)];
    difference_[static_cast<size_t>(group * classes_ + y) * kEqualBins + equal_bin(q)] +=
        q - (y == label ? 1.0 : 0.0);
  }
}

double ClasswiseCalibration::ece_without(int64_t group) const {
  const auto values = static_cast<size_t>(classes_) * kEqualBins;
  std::vector<double> sum(values);
  int64_t images = 0;
  for (int64_t g = 0; g < kJackknifeGroups; ++g) {
    if (g == group) continue;
    images += group_images_[static_cast<size_t>(g)];
    for (size_t i = 0; i < values; ++i) sum[i] += difference_[static_cast<size_t>(g) * values + i];
  }
  return mean_gap(sum, static_cast<double>(images) * static_cast<double>(classes_));
}

double ClasswiseCalibration::ece() const { return ece_without(-1); }

double ClasswiseCalibration::standard_error() const {
  if (images_ < kJackknifeGroups) return 0.0;
  std::vector<double> values;
  for (int64_t group = 0; group < kJackknifeGroups; ++group) values.push_back(ece_without(group));
  return jackknife_error(values);
}

}  // namespace pal
