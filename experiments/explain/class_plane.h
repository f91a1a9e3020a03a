#pragma once
#include <array>
#include <cstdint>
#include <vector>

// Classes in a plane of latent space (the paper's Fig. 15; experiments/measures/README.md, 16).
namespace pal {

/// A point of the plane.
using PlanePoint = std::array<double, 2>;

/// Class means that lie in a plane of latent space, mu_y = o + a_y e1 + b_y e2 with e1, e2
/// orthonormal. As ||z - mu_y||^2 = ||p - (a_y, b_y)||^2 + what is the same for all classes, p the
/// place of z in the plane, p alone decides the answer: the nearest mean.
class ClassPlane {
 public:
  /// The plane nearest to means [classes, dims], in the sense of least squares: through their mean,
  /// along their two principal axes. Throws usage for fewer than 3 classes or means on a line,
  /// numerics for values that are not finite.
  ClassPlane(const std::vector<double>& means, int64_t classes);

  int64_t classes() const { return static_cast<int64_t>(places_.size()); }
  int64_t dims() const { return static_cast<int64_t>(origin_.size()); }
  /// o, and e1 and e2.
  const std::vector<double>& origin() const { return origin_; }
  const std::array<std::vector<double>, 2>& axes() const { return axes_; }
  /// (a_y, b_y) of each class.
  const std::vector<PlanePoint>& places() const { return places_; }
  /// The share of the given means' variance that lies in the plane.
  double share() const { return share_; }

  /// mu_y spelled out, [classes, dims].
  std::vector<double> means() const;
  /// Where z (dims values) lies.
  PlanePoint project(const double* z) const;
  /// The class whose mean is nearest; of several the first.
  int64_t nearest(const PlanePoint& p) const;

 private:
  std::vector<double> origin_;
  std::array<std::vector<double>, 2> axes_;
  std::vector<PlanePoint> places_;
  double share_ = 0.0;
};

/// A piece of the border between two classes.
struct CellBorder {
  PlanePoint from, to;
};

/// The borders of the Voronoi cells of some points, within the rectangle from `low` to `high`.
std::vector<CellBorder> cell_borders(const std::vector<PlanePoint>& points, const PlanePoint& low,
                                     const PlanePoint& high);

/// The border of the region in which the point `target` is nearest by a margin, that is
/// 0.5 (||p - c||^2 - ||p - target||^2) >= margin for each other point c: a piece for each neighbour
/// that bounds it, within the rectangle. Empty where no place has so large a margin.
std::vector<CellBorder> margin_borders(const std::vector<PlanePoint>& points, int64_t target,
                                       double margin, const PlanePoint& low,
                                       const PlanePoint& high);

}  // namespace pal
