#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "experiments/measures/metrics.h"

// How far a classifier's confidences are from its hit rates (experiments/measures/README.md, 5).
// All in [0, 1] but the overconfidence, which is a ratio.
namespace pal {

/// The value at a share, 0 to 1, of an ascending list, between two of them in proportion.
double sorted_quantile(const std::vector<double>& sorted, double share);

/// One bin of confidences, [low, high).
struct CalibrationBin {
  double low = 0.0;
  double high = 0.0;
  int64_t entries = 0;
  int64_t positives = 0;

  double middle() const { return 0.5 * (low + high); }
  /// Share of positives; 0 for an empty bin.
  double rate() const;
  /// Standard error of the rate.
  double rate_error() const;
  /// Whether the bin has enough entries to count.
  bool kept() const { return entries > 20; }
};

/// The one-versus-all view: every pair of image and class is a binary event with confidence
/// q(y|x). Seventeen bins, narrow at both ends.
class OneVersusAll {
 public:
  OneVersusAll();
  /// Adds one image: its q(y|x), one per class, and its label.
  void add(std::span<const double> probabilities, int32_t label);
  const std::vector<CalibrationBin>& bins() const { return bins_; }
  /// Mean over the entries of kept bins of |bin middle - hit rate|.
  double ece() const;
  /// Largest |bin middle - hit rate| of a kept bin.
  double mce() const;

 private:
  std::vector<CalibrationBin> bins_;
};

/// Overconfidence: the error rate of predictions above a threshold over what the threshold allows.
struct Overconfidence {
  double threshold = 0.997;
  int64_t confident = 0;  ///< images whose confidence is above the threshold
  int64_t errors = 0;     ///< wrong predictions among them

  /// errors / confident / (1 - threshold); 0 if there are no confident images.
  double value() const;
  /// Standard error of the value.
  double standard_error() const;
  /// Whether enough images are confident for the number to mean something.
  bool sufficient() const { return confident >= 200; }
};
/// Counts confident images and errors among results.
Overconfidence overconfidence(const std::vector<ImageResult>& results, double threshold);

/// The usual expected calibration error: predictions only, 15 equal bins (low, high], mean
/// confidence against accuracy.
double top_label_ece(const std::vector<ImageResult>& results);

/// The same with 15 bins of about as many images: edges at quantiles of the confidences
/// (interpolated linearly), the first bin closed at both ends (Nguyen and O'Connor 2015).
double adaptive_ece(const std::vector<ImageResult>& results);

/// Top-label calibration of every class on its own: 15 equal bins (low, high] of q(y|x) against
/// how often y is the label, mean over the classes (Kull and others 2019).
class ClasswiseCalibration {
 public:
  explicit ClasswiseCalibration(int64_t classes);
  /// Adds one image: its q(y|x), one per class, and its label.
  void add(std::span<const double> probabilities, int32_t label);
  double ece() const;
  /// Of ece(), by leaving out a twentieth of the images in turn (experiments/measures/jackknife.h).
  double standard_error() const;

 private:
  double ece_without(int64_t group) const;

  int64_t classes_;
  int64_t images_ = 0;
  std::vector<int64_t> group_images_;
  std::vector<double> difference_;  // [group, class, bin]: sum of q(y|x) - [y is the label]
};

}  // namespace pal
