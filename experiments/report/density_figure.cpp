#include "experiments/report/density_figure.h"

#include <algorithm>
#include <cmath>

#include "experiments/measures/calibration.h"

namespace pal {
namespace {

constexpr int kSteps = 60;
/// Of the images of a set, those at either end that the range need not show.
constexpr double kOwnTail = 0.002, kForeignTail = 0.02;

}  // namespace

Series histogram_steps(const std::string& name, const std::vector<double>& values, double low,
                       double high) {
  std::vector<double> shares(kSteps);
  for (const double value : values) {
    const double place = std::floor((value - low) / (high - low) * kSteps);
    shares[static_cast<size_t>(std::clamp(place, 0.0, kSteps - 1.0))] +=
        100.0 / static_cast<double>(values.size());
  }
  Series series{.name = name};
  for (int k = 0; k < kSteps; ++k)
    for (const int edge : {k, k + 1}) {
      series.x.push_back(low + (high - low) * edge / kSteps);
      series.y.push_back(shares[static_cast<size_t>(k)]);
    }
  return series;
}

ValueRange shown_range(const std::vector<double>& familiar,
                       const std::vector<std::vector<double>>& foreign) {
  std::vector<double> sorted = familiar;
  std::ranges::sort(sorted);
  ValueRange range = {sorted_quantile(sorted, kOwnTail), sorted_quantile(sorted, 1.0 - kOwnTail)};
  for (const std::vector<double>& values : foreign) {
    sorted = values;
    std::ranges::sort(sorted);
    range.low = std::min(range.low, sorted_quantile(sorted, kForeignTail));
    range.high = std::max(range.high, sorted_quantile(sorted, 1.0 - kForeignTail));
  }
  if (!(range.high > range.low)) range.high = range.low + 1.0;
  return range;
}

std::string density_svg(const CheckpointReport& report) {
  // Bits per dimension differ from log-densities by a factor and a constant.
  double mean = 0.0;
  for (const ImageResult& image : report.clean.images)
    mean += image.log_density / static_cast<double>(report.clean.images.size());
  const auto bits_of = [&](double log_density) {
    return report.clean.summary.bits_per_dim + (mean - log_density) / std::log(2.0);
  };
  std::vector<double> own;
  for (const ImageResult& image : report.clean.images) own.push_back(bits_of(image.log_density));
  std::ranges::sort(own);
  std::vector<std::vector<double>> others;
  for (const OodReport& foreign : report.ood) {
    others.emplace_back();
    for (const double log_density : foreign.log_densities)
      others.back().push_back(bits_of(log_density));
  }
  const auto [low, high] = shown_range(own, others);
  Chart chart;
  chart.title = "How likely images are";
  chart.x_title = "bits per dimension, without noise (left: likelier; the ends: or beyond)";
  chart.y_title = "% of the images";
  chart.width = 760;
  chart.y_low = 0.0;
  chart.series.push_back(histogram_steps(report.dataset, own, low, high));
  for (size_t i = 0; i < others.size(); ++i)
    chart.series.push_back(histogram_steps(report.ood[i].set, others[i], low, high));
  double top = 0.0;
  for (const Series& series : chart.series)
    top = std::max(top, *std::ranges::max_element(series.y));
  chart.y_high = 1.06 * top;
  for (const double share : {0.05, 0.95}) {
    const double at = sorted_quantile(own, share);
    chart.series.push_back({.name = share < 0.5 ? "middle 90 %" : "",
                            .x = {at, at},
                            .y = {0.0, chart.y_high},
                            .dashed = true,
                            .points = false,
                            .color = "#555"});
  }
  return chart.svg();
}

}  // namespace pal
