#include "experiments/robustness/ood_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>

#include "experiments/report/chart.h"
#include "experiments/report/density_figure.h"
#include "experiments/report/svg_text.h"
#include "experiments/robustness/ood_report.h"
#include "runtime/file.h"

namespace pal {
namespace {

/// The level of the tests in the picture: the paper's.
constexpr double kLevel = 0.1;

std::vector<double> densities_of(const ScoredSet& set) {
  std::vector<double> values;
  for (const ImageStatistics& image : set.images) values.push_back(image.log_density);
  return values;
}

/// Share of scores that a test rejects, in percent.
double rejected(const OodReference& reference, OodTest test, const std::vector<double>& scores) {
  const auto count =
      std::ranges::count_if(scores, [&](double s) { return reference.p_value(test, s) <= kLevel; });
  return 100.0 * static_cast<double>(count) / static_cast<double>(scores.size());
}

/// Where the chart's plot lies, which has no legend: as Chart draws it.
constexpr double kLeft = 68.0, kRight = 744.0;
constexpr int kWidth = 760, kChartHeight = 360;

struct Curve {
  std::string name;
  const char* color;
  std::vector<double> values;
};

void draw_names(std::string& svg, const std::vector<Curve>& curves) {
  constexpr double kCharacter = 6.8;
  double x = kLeft;
  for (const Curve& curve : curves) {
    fmt::format_to(
        std::back_inserter(svg),
        R"(<line x1="{0:.1f}" x2="{1:.1f}" y1="{2}" y2="{2}" stroke="{3}" stroke-width="2.4"/><text x="{4:.1f}" y="{5}">{6}</text>)",
        x, x + 22.0, kChartHeight + 8, curve.color, x + 28.0, kChartHeight + 12,
        svg_text(curve.name));
    x += 52.0 + kCharacter * static_cast<double>(curve.name.size());
  }
}

/// A bar over the plot's width, dark where a test rejects, under a line of what that is.
void draw_zone(std::string& svg, double top, const ValueRange& shown,
               const OodReference::Range& accepted, const std::string& text) {
  const auto across = [&](double s) {
    const double share = (s - shown.low) / (shown.high - shown.low);
    return kLeft + (kRight - kLeft) * std::clamp(share, 0.0, 1.0);
  };
  const double from = across(accepted.low), to = across(accepted.high);
  fmt::format_to(std::back_inserter(svg), R"(<text x="{}" y="{:.1f}">{}</text>)", kLeft, top + 11.0,
                 svg_text(text));
  const auto bar = [&](double left, double right, const char* color) {
    if (right > left)
      fmt::format_to(std::back_inserter(svg),
                     R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="9" fill="{}"/>)", left,
                     top + 16.0, right - left, color);
  };
  bar(kLeft, kRight, "#e4e4e4");
  bar(kLeft, from, "#b2443c");
  bar(to, kRight, "#b2443c");
}

}  // namespace

std::string rejection_svg(const OodComparison& comparison, const ForeignSet& set) {
  const OodReference& reference = comparison.reference->density();
  const std::vector<Curve> curves = {
      {fmt::format("{} training images", comparison.training.count()), "#888",
       densities_of(comparison.training)},
      {fmt::format("{} {} images", comparison.test.count(), comparison.part), "#0072b2",
       densities_of(comparison.test)},
      {fmt::format("{} of {}", set.scored.count(), set.scored.label), "#d55e00",
       densities_of(set.scored)}};
  const ValueRange shown = shown_range(curves[0].values, {curves[2].values});
  Chart chart;
  chart.title = "How likely images are: " + set.scored.label;
  chart.x_title = "log-density per value, nats (right: likelier; the ends: or beyond)";
  chart.y_title = "% of the images";
  chart.width = kWidth;
  chart.height = kChartHeight;
  chart.x_low = shown.low;
  chart.x_high = shown.high;
  for (const Curve& curve : curves) {
    chart.series.push_back(histogram_steps("", curve.values, shown.low, shown.high));
    chart.series.back().color = curve.color;
    chart.y_high = std::max(chart.y_high, 1.06 * std::ranges::max(chart.series.back().y));
  }
  std::string svg = chart.svg();
  draw_names(svg, curves);
  double top = kChartHeight + 24.0;
  constexpr double kRow = 33.0;
  for (const OodTest test : {OodTest::one_tailed, OodTest::typicality, OodTest::quantile}) {
    draw_zone(svg, top, shown, reference.accepted(test, kLevel),
              fmt::format(
                  "{} test at p = {}: rejects (dark) {:.1f} % of {}, {:.1f} % of the {} images",
                  name_of(test), kLevel, rejected(reference, test, curves[2].values),
                  set.scored.label, rejected(reference, test, curves[1].values), comparison.part));
    top += kRow;
  }
  return svg_picture(kWidth, static_cast<int>(top) + 4, svg);
}

std::string roc_svg(const OodComparison& comparison, const ForeignSet& set) {
  constexpr size_t kColors = 7;
  constexpr double kStep = 0.002;
  Chart chart;
  chart.title = "Telling " + set.scored.label + " from the " + comparison.part + " images";
  chart.x_title = fmt::format("% of the {} images that are called foreign", comparison.part);
  chart.y_title = "% of the foreign images that are found";
  chart.width = 720;
  chart.height = 480;
  chart.x_low = chart.y_low = 0.0;
  chart.x_high = chart.y_high = 100.0;
  chart.series.push_back({.name = "guessing: 50.0",
                          .x = {0.0, 100.0},
                          .y = {0.0, 100.0},
                          .dashed = true,
                          .points = false,
                          .color = "#999"});
  for (size_t k = 0; k < comparison.scores.size(); ++k) {
    Series series{.name = fmt::format("{}: {:.1f}", name_of(comparison.scores[k]),
                                      100.0 * set.rows[k].against_test.auc)};
    for (const RocPoint& point :
         roc_curve(set.scored.values[k], comparison.test.values[k], kStep)) {
      series.x.push_back(100.0 * point.negatives);
      series.y.push_back(100.0 * point.positives);
    }
    series.points = false;
    series.dashed = k >= kColors;
    series.place = static_cast<int>(k % kColors);
    chart.series.push_back(std::move(series));
  }
  return chart.svg();
}

void write_ood_figures(const std::string& folder, const OodComparison& comparison) {
  make_folders(folder);
  const auto path = [&](const std::string& name) {
    return (std::filesystem::path(folder) / name).string();
  };
  write_atomic(path("scores.csv"), scores_csv(comparison));
  write_atomic(path("detection.csv"), detection_csv(comparison));
  for (size_t i = 0; i < comparison.sets.size(); ++i) {
    const ForeignSet& set = comparison.sets[i];
    constexpr size_t kLongest = 60;
    std::string label = set.scored.label.substr(0, kLongest);
    for (char& c : label)
      if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.' && c != '-') c = '_';
    const std::string name = fmt::format("_{}_{}.svg", i + 1, label);
    write_atomic(path("roc" + name), roc_svg(comparison, set));
    if (comparison.has_density) write_atomic(path("fig8" + name), rejection_svg(comparison, set));
  }
}

}  // namespace pal
