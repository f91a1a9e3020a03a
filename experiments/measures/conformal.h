#pragma once
#include <cstdint>
#include <vector>

// What may be promised of new images from held-out ones that are exchangeable with them (Vovk,
// Gammerman, Shafer 2005; experiments/measures/README.md, 7).
namespace pal {

/// Sorted scores of held-out images.
class ConformalScores {
 public:
  /// Throws usage for no scores, numerics for one that is not finite.
  explicit ConformalScores(std::vector<double> scores);
  const std::vector<double>& sorted() const { return sorted_; }
  int64_t count() const { return static_cast<int64_t>(sorted_.size()); }

  /// (1 + how many are at most s) / (n + 1): at most a share a of new images gets p <= a.
  double p_low(double s) const;
  /// (1 + how many are at least s) / (n + 1).
  double p_high(double s) const;
  /// min(1, 2 min(p_low, p_high)).
  double p_two(double s) const;
  /// The ceil((n + 1) coverage)-th smallest score: a new score is at most that with at least this
  /// probability. Infinity where n is too small to promise it.
  double threshold(double coverage) const;

 private:
  std::vector<double> sorted_;
};

/// The p-values of several tests as one: min(1, k min p) (Bonferroni).
double fused_p(const std::vector<double>& p_values);

}  // namespace pal
