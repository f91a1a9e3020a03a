#pragma once
#include <string>
#include <vector>

// Telling unfamiliar images by their density (experiments/measures/README.md, 7). The score of an
// image is s = ln q(x) / D; all images that are compared must be scored alike, without noise.
namespace pal {

/// Which densities count as unfamiliar.
enum class OodTest {
  one_tailed,  ///< low ones
  typicality,  ///< those far from the reference's mean, either way
  quantile,    ///< those in either tail of the reference's distribution (the headline test)
};
/// What the test is called in tables and JSON.
const char* name_of(OodTest test);

/// The densities of images of the training set, and what they say about others.
class OodReference {
 public:
  /// Throws usage for no scores, numerics for one that is not finite.
  explicit OodReference(std::vector<double> scores);
  const std::vector<double>& scores() const { return sorted_; }
  /// Median of the reference's scores.
  double median() const;

  /// Share of the reference below s, equal ones counted half.
  double distribution(double s) const;
  /// A value that is the higher the less familiar an image of score s is; no scale is common to the
  /// tests.
  double unfamiliarity(OodTest test, double s) const;
  std::vector<double> unfamiliarity(OodTest test, const std::vector<double>& scores) const;
  /// Share of the reference that the test would reject with s: its false positive rate.
  double p_value(OodTest test, double s) const;
  /// Between which scores the test accepts at the level p, for pictures: the reference's least and
  /// largest score with a p-value above it (one-tailed: up to infinity); equal to or beyond what
  /// lies outside it rejects. Empty (low above high) where it rejects all.
  struct Range {
    double low, high;
  };
  Range accepted(OodTest test, double p) const;

 private:
  std::vector<double> sorted_;
  std::vector<double> sorted_distance_;  // from the mean
  double mean_ = 0.0;
};

/// Area under the ROC curve, in [0, 1]: the chance that a positive has the higher value than a
/// negative, ties counted half. Throws usage if either is empty.
double rank_auc(const std::vector<double>& positives, const std::vector<double>& negatives);

}  // namespace pal
