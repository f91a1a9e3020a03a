#pragma once
#include <cstdint>
#include <vector>

#include "layers/mixture_head.h"

// Where the classes of a latent mixture lie (experiments/measures/README.md, 14). All in double.
namespace pal {

/// Distances ||mu_i - mu_j|| of all class means, [classes, classes]; low-rank means are never
/// spelled out.
std::vector<double> class_distances(const MixtureHead& head);

/// The confidence to expect of the likelier of two classes whose means are `distance` apart:
/// Phi(distance / 2), under equal priors and unit covariance.
double expected_confidence(double distance);
/// 1 minus that, exact for large distances.
double expected_uncertainty(double distance);

/// The radius around the origin that holds a share of a standard normal in so many dimensions.
double normal_radius(double share, int64_t dims);

/// An order of classes in which alike ones are neighbours: the leaves of average-linkage clustering
/// (UPGMA) of the distances [count, count], the nearer side of each merger first.
std::vector<int64_t> dendrogram_order(const std::vector<double>& distances, int64_t count);

/// A point beside two class means in the span of several (the paper's Fig. 3).
struct DecisionPoint {
  double along = 0.0;   ///< from the first mean towards the second
  double beside = 0.0;  ///< distance from that line within the space, at least 0
};

/// The span of some class means, or their affine hull, seen from the line through the first two.
class DecisionSpace {
 public:
  /// `classes`: at least 2 and different. Throws usage if their means are linearly dependent.
  /// `affine`: their hull, which has one dimension less and need not hold the origin; at least 3
  /// classes then.
  DecisionSpace(const MixtureHead& head, const std::vector<int64_t>& classes, bool affine = false);

  /// Dimensions of the space.
  int64_t dims() const { return static_cast<int64_t>(basis_.size()); }
  /// Where the i-th of the classes lies.
  DecisionPoint mean(size_t i) const;
  /// Where the projection of z (D values) onto the space lies.
  DecisionPoint project(const double* z) const;
  /// Half axes of the ellipse around a mean that holds 90 % of the class along and beside the line.
  DecisionPoint half_axes() const;

 private:
  DecisionPoint place(const std::vector<double>& coordinates) const;
  std::vector<double> coordinates_of(const double* point) const;

  std::vector<std::vector<double>> basis_;  // orthonormal; the first along mean 2 - mean 1
  std::vector<std::vector<double>> means_;  // coordinates of the means
};

}  // namespace pal
