#pragma once
#include <limits>
#include <string>
#include <vector>

#include "experiments/explain/class_plane.h"
#include "experiments/report/chart.h"

// What drawings of planes with classes in them have in common.
namespace pal {

/// The rectangle of a plane that a drawing is to show.
struct PlaneWindow {
  PlanePoint low{std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  PlanePoint high{-low[0], -low[1]};

  void take(const PlanePoint& p);
  /// Adds that share of its longer side all around.
  void widen(double share);
  /// One far larger, as the axes get more room on one side.
  PlaneWindow surroundings() const;
};

/// An empty chart of that part of a plane, its axes equally long.
Chart plane_chart(const std::string& title, const PlaneWindow& window);

/// Pieces of borders as one series of lines.
Series border_series(const std::string& name, const std::vector<CellBorder>& borders);

}  // namespace pal
