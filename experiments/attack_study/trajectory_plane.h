#pragma once
#include <cstdint>
#include <vector>

#include "experiments/explain/class_plane.h"

namespace pal {

/// A plane of latent space in which a trajectory can be drawn.
struct TrajectoryPlane {
  ClassPlane plane;
  /// The classes whose means it was fitted to, the one that the trajectory comes closest to first.
  std::vector<int64_t> classes;
  std::vector<PlanePoint> means;  ///< of all classes, projected
  std::vector<PlanePoint> steps;  ///< of the trajectory, projected
};

/// The plane nearest, in the sense of least squares, to the five class means (or all, of fewer) that
/// a trajectory comes closest to. `means` is [classes, dims], `steps` [steps, dims]. Throws usage
/// for no steps, values that are no rows, fewer than three classes or means on a line; numerics for
/// values that are not finite.
TrajectoryPlane trajectory_plane(const std::vector<double>& means, int64_t classes,
                                 const std::vector<double>& steps);

}  // namespace pal
