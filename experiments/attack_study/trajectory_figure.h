#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "experiments/explain/class_plane.h"

// The way of an attack through a plane of latent space (the paper's Figs. 6, 19 and 20).
namespace pal {

/// An attack after one step; what is not known of it is NaN.
struct TrajectoryStep {
  PlanePoint at{};                ///< the place of z in the plane
  double objective = 0.0;         ///< what the attack minimises
  double squared_distance = 0.0;  ///< ||x_adv - x||^2
  double margin = 0.0;            ///< l_target - max of all others, nats
  double log_density = 0.0;       ///< ln q(x_adv)/D, nats
  bool reached = false;           ///< whether the margin is at least kappa
};

struct AttackTrajectory {
  std::string name;  ///< in legends and tables, such as "cw, d 66"; empty: no name
  std::vector<TrajectoryStep> steps = {};
  int64_t every = 1;  ///< steps of the attack from one of these to the next
};

struct TrajectoryFigure {
  std::string title;
  std::vector<std::string> names;  ///< of the classes that are drawn
  std::vector<PlanePoint> means;   ///< of each of them, in the plane
  size_t label = 0, target = 0;    ///< by place in these lists
  double kappa = 0.0;              ///< nats; the region of an infinite one is empty and not drawn
  /// Whether the place in the plane decides the answer (a model whose means lie in it): then the
  /// classes' borders are drawn and where the margin over each neighbour of the target is kappa.
  bool decides = false;
  bool close_up = false;  ///< shows the trajectories alone, not all class means
  std::vector<AttackTrajectory> trajectories = {};
};

/// The figure as SVG: trajectories are dotted until the margin is first reached and solid from then
/// on, with marks at start and end and a big dot at the target's mean. Throws usage for lists that
/// differ in length, classes that are not in them, a label that is the target, no trajectory or one
/// without steps; numerics for places that are not finite.
std::string trajectory_svg(const TrajectoryFigure& figure);

/// A number of each step that can be drawn over the steps.
enum class TraceNumber : uint8_t { objective, squared_distance, margin, log_density };

/// That number over the steps, a line for each trajectory, dotted as in the figure; over decades
/// where no value is negative and they span one. Empty where no step has the number. Throws usage for
/// no trajectory or one without steps.
std::string trace_svg(const std::string& title, const std::vector<AttackTrajectory>& trajectories,
                      TraceNumber number);

/// CSV: trajectory, step, objective, squared_distance, margin, log_density, x, y, reached (1 or 0).
/// What is NaN is empty. The header stands alone where there are no trajectories.
std::string trace_csv(const std::vector<AttackTrajectory>& trajectories);

}  // namespace pal
