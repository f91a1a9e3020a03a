#include "experiments/attack_study/trajectory_figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <set>

#include "experiments/explain/plane_chart.h"
#include "experiments/report/chart.h"
#include "experiments/report/text_table.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
constexpr const char* kInk = "#000";
constexpr const char* kQuiet = "#555";

void check_trajectories(const std::vector<AttackTrajectory>& trajectories) {
  expect(!trajectories.empty(), "trajectory figure: no trajectory");
  for (const AttackTrajectory& one : trajectories)
    expect(!one.steps.empty(), "trajectory figure: '{}' has no steps", one.name);
}

void check_figure(const TrajectoryFigure& figure) {
  check_trajectories(figure.trajectories);
  expect(figure.names.size() == figure.means.size(), "trajectory figure: {} names of {} means",
         figure.names.size(), figure.means.size());
  expect(
      std::max(figure.label, figure.target) < figure.means.size() && figure.label != figure.target,
      "trajectory figure: label {} and target {}; expected two of {} classes", figure.label,
      figure.target, figure.means.size());
  const auto check = [](const PlanePoint& p, const std::string& what) {
    if (!std::isfinite(p[0]) || !std::isfinite(p[1]))
      fail(ErrorKind::numerics, "trajectory figure: '{}' has a place that is not finite", what);
  };
  for (size_t y = 0; y < figure.means.size(); ++y) check(figure.means[y], figure.names[y]);
  for (const AttackTrajectory& one : figure.trajectories)
    for (const TrajectoryStep& step : one.steps) check(step.at, one.name);
}

/// A line through the steps in two series: dotted until the margin is first reached, then solid.
/// `point` gives the place of a step on the chart.
template <typename Point>
void add_path(Chart& chart, const AttackTrajectory& trajectory, int place, Point point) {
  Series dotted{.name = "", .dotted = true, .points = false, .place = place};
  Series solid{.name = trajectory.name.empty() ? "margin reached" : trajectory.name,
               .points = false,
               .place = place};
  const auto add = [&](Series& series, size_t i) {
    const PlanePoint p = point(i);
    series.x.push_back(p[0]);
    series.y.push_back(p[1]);
  };
  const auto& steps = trajectory.steps;
  const auto first =
      static_cast<size_t>(std::ranges::find(steps, true, &TrajectoryStep::reached) - steps.begin());
  for (size_t i = 0; i < steps.size(); ++i) {
    if (i <= first) add(dotted, i);
    if (i >= first) add(solid, i);
  }
  chart.series.push_back(std::move(dotted));
  chart.series.push_back(std::move(solid));
}

/// What dots mean.
void explain_dots(Chart& chart) {
  chart.series.push_back(
      {.name = "margin not reached yet", .dotted = true, .points = false, .color = kQuiet});
}

Series mark_series(const std::string& name, const std::vector<PlanePoint>& at,
                   const std::vector<std::string>& labels) {
  Series series{.name = name, .labels = labels, .line = false, .color = kInk};
  for (const PlanePoint& p : at) {
    series.x.push_back(p[0]);
    series.y.push_back(p[1]);
  }
  return series;
}

PlaneWindow window_of(const TrajectoryFigure& figure) {
  PlaneWindow window;
  for (const AttackTrajectory& one : figure.trajectories)
    for (const TrajectoryStep& step : one.steps) window.take(step.at);
  if (!figure.close_up)
    for (const PlanePoint& mean : figure.means) window.take(mean);
  window.widen(figure.close_up ? 0.2 : 0.06);
  return window;
}

void add_borders(Chart& chart, const TrajectoryFigure& figure, const PlaneWindow& window) {
  const PlaneWindow far = window.surroundings();
  chart.series.push_back(
      border_series("border of two classes", cell_borders(figure.means, far.low, far.high)));
  if (!std::isfinite(figure.kappa)) return;
  const auto held = margin_borders(figure.means, static_cast<int64_t>(figure.target), figure.kappa,
                                   far.low, far.high);
  if (held.empty()) return;
  Series dashed = border_series(
      fmt::format("margin {:g} for {}", figure.kappa, figure.names[figure.target]), held);
  dashed.dashed = true;
  chart.series.push_back(std::move(dashed));
}

void add_means(Chart& chart, const TrajectoryFigure& figure) {
  std::vector<PlanePoint> others;
  std::vector<std::string> names;
  for (size_t y = 0; y < figure.means.size(); ++y) {
    if (y == figure.target) continue;
    others.push_back(figure.means[y]);
    names.push_back(y == figure.label ? figure.names[y] + " (label)" : figure.names[y]);
  }
  Series means = mark_series("class means", others, names);
  means.cross = true;
  chart.series.push_back(std::move(means));
  Series target = mark_series("mean of the target", {figure.means[figure.target]},
                              {figure.names[figure.target] + " (target)"});
  target.size = 2.5;
  chart.series.push_back(std::move(target));
}

void add_ends(Chart& chart, const std::vector<AttackTrajectory>& trajectories) {
  std::set<PlanePoint> starts;  // attacks of one image start at one place
  for (size_t k = 0; k < trajectories.size(); ++k) {
    const PlanePoint& start = trajectories[k].steps.front().at;
    if (starts.insert(start).second) {
      Series mark = mark_series("", {start}, {"start"});
      mark.hollow = true;
      mark.size = 1.6;
      chart.series.push_back(std::move(mark));
    }
    Series end = mark_series("", {trajectories[k].steps.back().at}, {"end"});
    end.color.clear();
    end.place = static_cast<int>(k);
    end.size = 1.5;
    chart.series.push_back(std::move(end));
  }
}

double number_of(const TrajectoryStep& step, TraceNumber number) {
  switch (number) {
    case TraceNumber::objective:
      return step.objective;
    case TraceNumber::squared_distance:
      return step.squared_distance;
    case TraceNumber::margin:
      return step.margin;
    case TraceNumber::log_density:
      return step.log_density;
  }
  return kNothing;
}

const char* title_of(TraceNumber number) {
  switch (number) {
    case TraceNumber::objective:
      return "objective";
    case TraceNumber::squared_distance:
      return "squared distance to the image, pixels in [0, 1]";
    case TraceNumber::margin:
      return "margin of the target, nats";
    case TraceNumber::log_density:
      return "ln q(x)/D, nats";
  }
  return "";
}

/// Whether values are best seen over decades. The distance starts at 0, which needs no place there.
bool spans_decades(const std::vector<double>& values) {
  constexpr double kDecade = 10.0;
  double least = std::numeric_limits<double>::infinity();
  for (const double value : values)
    if (value != 0.0) least = std::min(least, value);
  return least > 0.0 && std::ranges::max(values) >= kDecade * least;
}

}  // namespace

std::string trajectory_svg(const TrajectoryFigure& figure) {
  check_figure(figure);
  const PlaneWindow window = window_of(figure);
  Chart chart = plane_chart(figure.title, window);
  if (figure.decides) add_borders(chart, figure, window);
  for (size_t k = 0; k < figure.trajectories.size(); ++k)
    add_path(chart, figure.trajectories[k], static_cast<int>(k),
             [&](size_t i) { return figure.trajectories[k].steps[i].at; });
  explain_dots(chart);
  add_means(chart, figure);
  add_ends(chart, figure.trajectories);
  return chart.svg();
}

std::string trace_svg(const std::string& title, const std::vector<AttackTrajectory>& trajectories,
                      TraceNumber number) {
  check_trajectories(trajectories);
  Chart chart;
  chart.title = title;
  chart.x_title = "step";
  chart.y_title = title_of(number);
  chart.width = 820;
  std::vector<double> values;
  for (size_t k = 0; k < trajectories.size(); ++k) {
    add_path(chart, trajectories[k], static_cast<int>(k), [&](size_t i) {
      return PlanePoint{static_cast<double>(static_cast<int64_t>(i) * trajectories[k].every),
                        number_of(trajectories[k].steps[i], number)};
    });
    for (const TrajectoryStep& step : trajectories[k].steps) {
      const double value = number_of(step, number);
      if (std::isfinite(value)) values.push_back(value);
    }
  }
  if (values.empty()) return {};
  explain_dots(chart);
  chart.y_log = spans_decades(values);
  return chart.svg();
}

std::string trace_csv(const std::vector<AttackTrajectory>& trajectories) {
  std::string csv = "trajectory,step,objective,squared_distance,margin,log_density,x,y,reached\n";
  const auto field = [](double value) {
    return std::isnan(value) ? std::string() : fmt::format("{:.9g}", value);
  };
  for (const AttackTrajectory& one : trajectories)
    for (size_t i = 0; i < one.steps.size(); ++i) {
      const TrajectoryStep& step = one.steps[i];
      fmt::format_to(std::back_inserter(csv), "{},{},{},{},{},{},{},{},{}\n", csv_field(one.name),
                     static_cast<int64_t>(i) * one.every, field(step.objective),
                     field(step.squared_distance), field(step.margin), field(step.log_density),
                     field(step.at[0]), field(step.at[1]), step.reached ? 1 : 0);
    }
  return csv;
}

}  // namespace pal
