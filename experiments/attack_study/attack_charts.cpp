#include "experiments/attack_study/attack_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "experiments/report/chart.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr const char* kReferenceColor = "#777";

std::vector<double> in_percent(std::vector<double> shares) {
  for (double& share : shares) share *= 100.0;
  return shares;
}

/// The place of a value in a set of them.
size_t rank_in(const std::set<double>& values, double value) {
  return static_cast<size_t>(std::distance(values.begin(), values.find(value)));
}

double factor_of(AttackMeasure measure) {
  return measure == AttackMeasure::detection ? 100.0 : 1.0;
}

const char* axis_title(AttackMeasure measure) {
  switch (measure) {
    case AttackMeasure::l2:
      return "mean L2 norm of the perturbation";
    case AttackMeasure::corruption:
      return "mean colour difference per pixel";
    case AttackMeasure::detection:
      return "attacks detected, two-tailed AUC, %";
    case AttackMeasure::uncertainty:
      return "entropy of the answers, nats";
  }
  return "";
}

/// A horizontal line over all places of the axis.
Series level_series(const std::string& name, double level, size_t places) {
  return {.name = name,
          .x = {-0.5, static_cast<double>(places) - 0.5},
          .y = {level, level},
          .dashed = true,
          .points = false};
}

/// The values of beta, kappa and d that lines have.
struct Settings {
  std::set<double> beta, kappa, d;

  explicit Settings(const std::vector<AttackLine>& lines) {
    for (const AttackLine& line : lines) {
      expect(line.beta.size() == line.value.size() &&
                 (line.error.empty() || line.error.size() == line.value.size()),
             "attack chart: kappa {:g}, d {:g} has {} betas, {} values and {} errors", line.kappa,
             line.d, line.beta.size(), line.value.size(), line.error.size());
      beta.insert(line.beta.begin(), line.beta.end());
      kappa.insert(line.kappa);
      d.insert(line.d);
    }
    expect(!beta.empty(), "attack chart: no beta in any of {} lines", lines.size());
  }

  /// What is said of a line: what it has in common with all others is not.
  std::string name(const AttackLine& line) const {
    return d.size() == 1 ? fmt::format("kappa {:g}", line.kappa)
                         : fmt::format("kappa {:g}, d {:g}", line.kappa, line.d);
  }
};

Series series_of(const AttackLine& line, const Settings& settings, double factor) {
  Series series{.name = settings.name(line),
                .place = static_cast<int>(rank_in(settings.kappa, line.kappa))};
  for (size_t i = 0; i < line.beta.size(); ++i) {
    series.x.push_back(static_cast<double>(rank_in(settings.beta, line.beta[i])));
    series.y.push_back(factor * line.value[i]);
    if (!line.error.empty()) series.error.push_back(factor * line.error[i]);
  }
  const size_t rank = rank_in(settings.d, line.d);
  series.dotted = rank > 0;
  series.hollow = rank > 1;
  return series;
}

}  // namespace

std::string robust_curve_svg(const RobustChart& robust) {
  expect(!robust.curves.empty(), "robust curve: nothing to draw");
  Chart chart;
  chart.title = robust.title;
  chart.x_title = fmt::format("largest perturbation allowed, {}, pixels in [0, 1]", robust.norm);
  // Radii go over decades: even places for all that are there.
  std::vector<double> radii;
  for (const RobustCurve& curve : robust.curves)
    radii.insert(radii.end(), curve.epsilon.begin(), curve.epsilon.end());
  std::ranges::sort(radii);
  radii.erase(std::unique(radii.begin(), radii.end()), radii.end());
  for (const double radius : radii) chart.x_names.push_back(fmt::format("{:.2g}", radius));
  const auto places = [&](const std::vector<double>& epsilon) {
    std::vector<double> x;
    for (const double radius : epsilon)
      x.push_back(static_cast<double>(std::ranges::lower_bound(radii, radius) - radii.begin()));
    return x;
  };
  chart.y_title = "% of the images";
  chart.width = 720;
  chart.y_low = 0.0;
  chart.y_high = 100.0;
  bool detected = false;
  for (size_t k = 0; k < robust.curves.size(); ++k) {
    const RobustCurve& curve = robust.curves[k];
    expect(curve.epsilon.size() == curve.accuracy.size() &&
               (curve.unflagged.empty() || curve.unflagged.size() == curve.epsilon.size()),
           "robust curve: '{}' has {} epsilons, {} accuracies and {} unflagged shares", curve.name,
           curve.epsilon.size(), curve.accuracy.size(), curve.unflagged.size());
    const int place = static_cast<int>(k);
    chart.series.push_back({.name = curve.name,
                            .x = places(curve.epsilon),
                            .y = in_percent(curve.accuracy),
                            .place = place});
    if (curve.unflagged.empty()) continue;
    detected = true;
    chart.series.push_back({.name = "",
                            .x = places(curve.epsilon),
                            .y = in_percent(curve.unflagged),
                            .dashed = true,
                            .place = place});
  }
  // What the two kinds of line mean.
  chart.series.push_back({.name = "still right", .points = false, .color = kReferenceColor});
  if (detected)
    chart.series.push_back({.name = fmt::format("wrong, unflagged at {:g} %", 100.0 * robust.level),
                            .dashed = true,
                            .points = false,
                            .color = kReferenceColor});
  return chart.svg();
}

std::string attack_beta_svg(const std::string& title, AttackMeasure measure,
                            const std::vector<AttackLine>& lines) {
  const Settings settings(lines);
  const double factor = factor_of(measure);
  const size_t places = settings.beta.size();
  Chart chart;
  chart.title = title;
  chart.x_title = "beta";
  chart.y_title = axis_title(measure);
  chart.width = 720;
  for (const double beta : settings.beta) chart.x_names.push_back(fmt::format("{:g}", beta));
  double least = std::numeric_limits<double>::infinity(), most = 0.0;
  const auto take = [&](double value) {
    if (!std::isfinite(value)) return;
    least = std::min(least, value);
    most = std::max(most, value);
  };
  for (const AttackLine& line : lines) {
    chart.series.push_back(series_of(line, settings, factor));
    const Series& drawn = chart.series.back();
    for (size_t i = 0; i < drawn.y.size(); ++i) {
      take(drawn.y[i]);
      if (!drawn.error.empty()) take(drawn.y[i] + drawn.error[i]);
    }
  }
  for (const AttackLine& line : lines) {
    if (!line.feed_forward) continue;
    take(factor * *line.feed_forward);
    Series level =
        level_series("feed-forward, " + settings.name(line), factor * *line.feed_forward, places);
    level.place = static_cast<int>(rank_in(settings.kappa, line.kappa));
    chart.series.push_back(std::move(level));
  }
  expect(std::isfinite(least), "attack chart: '{}' has no known value", title);
  constexpr double kWide = 20.0;
  if (measure == AttackMeasure::detection) {
    chart.series.push_back(level_series("guessing", 50.0, places));
    chart.series.back().color = kReferenceColor;
    chart.y_low = 0.0;
    chart.y_high = 100.0;
  } else if (least > 0.0 && most > kWide * least) {
    chart.y_log = true;
  } else if (most > 0.0) {
    chart.y_low = 0.0;
    chart.y_high = 1.06 * most;
  }
  return chart.svg();
}

}  // namespace pal
