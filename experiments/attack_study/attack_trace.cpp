#include "experiments/attack_study/attack_trace.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "experiments/attack_study/trajectory_plane.h"
#include "kernels/arrays/host_values.h"
#include "layers/models/ib_inn.h"
#include "runtime/error.h"

namespace pal {
namespace {

// Classes near a trajectory that a plane is fitted to.
constexpr size_t kPlaneClasses = 5;
// Share of the means' variance in a plane from which they count as lying in it.
constexpr double kAllInPlane = 1.0 - 1e-9;
// Values of class means that are spelled out to look whether all lie in a plane.
constexpr int64_t kMostSpelledOut = 20'000'000;
// Values of latent vectors that are kept of all ways.
constexpr int64_t kMostKept = 64'000'000;

/// What is kept of one image on its way.
struct Way {
  std::vector<TrajectoryStep> steps;
  std::vector<double> latents;        // [steps, D]
  std::vector<double> highest_score;  // of each class over the steps
  double crossed_at = std::numeric_limits<double>::quiet_NaN();
  double last = 0.0;  // squared distance
};

std::vector<double> means_of(const IbInn& flow, const std::vector<int64_t>& classes) {
  std::vector<double> means;
  for (const int64_t y : classes) {
    const std::vector<double> mean = host_values(flow.head().class_mean(y));
    means.insert(means.end(), mean.begin(), mean.end());
  }
  return means;
}

std::vector<int64_t> all_classes(int64_t count) {
  std::vector<int64_t> classes(static_cast<size_t>(count));
  std::iota(classes.begin(), classes.end(), int64_t{0});
  return classes;
}

/// The plane that holds all class means; none if there is none, or too much to look through.
std::optional<ClassPlane> deciding_plane(const IbInn& flow) {
  const int64_t classes = flow.config().classes;
  if (classes < 3 || classes * flow.dims() > kMostSpelledOut) return std::nullopt;
  const ClassPlane plane(means_of(flow, all_classes(classes)), classes);
  return plane.share() >= kAllInPlane ? std::optional(plane) : std::nullopt;
}

/// The classes that a way comes closest to, as far as scores tell, then label and target.
std::vector<int64_t> near_classes(const Way& way, const AttackGoal& goal) {
  std::vector<int64_t> order = all_classes(static_cast<int64_t>(way.highest_score.size()));
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) {
    return way.highest_score[static_cast<size_t>(a)] > way.highest_score[static_cast<size_t>(b)];
  });
  order.resize(std::min(order.size(), kPlaneClasses));
  for (const int32_t own : {goal.label, goal.target})
    if (own >= 0 && std::ranges::find(order, own) == order.end()) order.push_back(own);
  return order;
}

void project(const IbInn& flow, const std::optional<ClassPlane>& deciding, const Way& way,
             const AttackGoal& goal, AttackTrace& trace) {
  const auto dims = static_cast<size_t>(flow.dims());
  auto& steps = trace.trajectory.steps;
  if (deciding) {
    trace.decides = true;
    trace.classes = all_classes(deciding->classes());
    trace.means = deciding->places();
    for (size_t i = 0; i < steps.size(); ++i)
      steps[i].at = deciding->project(way.latents.data() + i * dims);
    return;
  }
  trace.classes = near_classes(way, goal);
  const TrajectoryPlane plane = trajectory_plane(
      means_of(flow, trace.classes), static_cast<int64_t>(trace.classes.size()), way.latents);
  trace.means = plane.means;
  for (size_t i = 0; i < steps.size(); ++i) steps[i].at = plane.steps[i];
}

}  // namespace

std::vector<AttackTrace> trace_attack(Model& model, const InputSpec& input,
                                      const AttackBatch& batch, const AttackSetting& setting,
                                      double median) {
  AttackedNetwork attacked(model, input);
  auto* const flow = dynamic_cast<IbInn*>(&model);
  std::vector<Way> ways(static_cast<size_t>(batch.count()));
  const int64_t points = std::max<int64_t>(1, kMostKept / (batch.count() * model.dims()));
  const int64_t every = std::max<int64_t>(1, (setting.most_steps() + points - 1) / points);
  const double kappa = std::isfinite(setting.kappa) ? setting.kappa : 0.0;
  const auto observe = [&](const AttackStep& at) {
    const bool kept = at.step % every == 0;
    std::vector<double> latents;
    if (kept && flow != nullptr) {
      const NoGradGuard no_grad;
      latents = host_values(
          flow->forward(Variable(attacked.normalised(at.images)), Phase::evaluate).y.value());
    }
    for (size_t i = 0; i < at.rows.size(); ++i) {
      Way& way = ways[static_cast<size_t>(at.rows[i])];
      const double margin = -at.said.margins[i];
      const bool reached = margin > 0.0 && margin >= kappa;
      if (reached && std::isnan(way.crossed_at)) way.crossed_at = at.squared_distance[i];
      way.last = at.squared_distance[i];
      if (!kept) continue;
      way.steps.push_back({.objective = at.objective[i],
                           .squared_distance = at.squared_distance[i],
                           .margin = margin,
                           .log_density = at.scores.log_density.empty()
                                              ? std::numeric_limits<double>::quiet_NaN()
                                              : at.scores.log_density[i],
                           .reached = reached});
      const std::span<const double> row = at.scores.row(static_cast<int64_t>(i));
      if (way.highest_score.empty()) way.highest_score.assign(row.begin(), row.end());
      for (size_t y = 0; y < row.size(); ++y)
        way.highest_score[y] = std::max(way.highest_score[y], row[y]);
      if (latents.empty()) continue;
      const size_t dims = latents.size() / at.rows.size();
      way.latents.insert(way.latents.end(), latents.begin() + static_cast<std::ptrdiff_t>(i * dims),
                         latents.begin() + static_cast<std::ptrdiff_t>((i + 1) * dims));
    }
  };
  run_attack(attacked, batch, setting, median, {}, observe);
  std::optional<ClassPlane> deciding;
  if (flow != nullptr) deciding = deciding_plane(*flow);
  std::vector<AttackTrace> traces;
  for (size_t i = 0; i < ways.size(); ++i) {
    AttackTrace trace;
    trace.image = static_cast<int64_t>(i);
    trace.trajectory = {setting.title(), ways[i].steps, every};
    trace.crossed_then_shrank = ways[i].last < ways[i].crossed_at;
    if (flow != nullptr && flow->config().classes >= 3)
      project(*flow, deciding, ways[i], batch.goals[i], trace);
    else
      for (TrajectoryStep& step : trace.trajectory.steps)
        step.at = {std::numeric_limits<double>::quiet_NaN(),
                   std::numeric_limits<double>::quiet_NaN()};
    traces.push_back(std::move(trace));
  }
  return traces;
}

}  // namespace pal
