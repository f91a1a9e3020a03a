#include "experiments/report/evaluation_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <optional>
#include <utility>

#include "experiments/measures/metrics.h"
#include "experiments/measures/risk_coverage.h"
#include "experiments/report/chart.h"
#include "experiments/report/density_figure.h"
#include "experiments/report/text_table.h"
#include "experiments/trust/reliability.h"
#include "runtime/file.h"

namespace pal {
namespace {

Series calibration_series(const CheckpointReport& report) {
  Series series;
  series.name = checkpoint_name(report.checkpoint);
  for (const CalibrationBin& bin : report.noisy.calibration.bins()) {
    if (!bin.kept()) continue;
    series.x.push_back(bin.middle());
    series.y.push_back(bin.rate());
    series.error.push_back(bin.rate_error());
  }
  return series;
}

Series risk_series(const CheckpointReport& report) {
  constexpr size_t kPoints = 400;  // as many as a picture shows
  Series series;
  series.name = checkpoint_name(report.checkpoint);
  const std::vector<double> risk = risk_by_coverage(report.noisy.images);
  const size_t step = std::max<size_t>(1, risk.size() / kPoints);
  for (size_t k = step - 1; k < risk.size(); k += step) {
    series.x.push_back(static_cast<double>(k + 1) / static_cast<double>(risk.size()));
    series.y.push_back(risk[k]);
  }
  return series;
}

/// Of a flow; empty where it is unknown.
std::string beta_text(const std::optional<double>& beta) {
  return beta ? fmt::format("{:g}", *beta) : std::string();
}

bool any_published(const std::vector<CheckpointReport>& reports) {
  return std::ranges::any_of(reports,
                             [](const auto& report) { return report.published != nullptr; });
}

/// Fields of the paper's figures, each times a factor, with a comma before; empty where it has
/// none.
std::string published_fields(
    const PublishedEvaluation* row,
    std::initializer_list<std::pair<std::optional<double> PublishedEvaluation::*, double>>
        figures) {
  std::string fields;
  for (const auto& [member, factor] : figures) {
    const auto figure = row != nullptr ? row->*member : std::nullopt;
    fields += figure ? fmt::format(",{:g}", *figure * factor) : ",";
  }
  return fields;
}

constexpr double kPercent = 0.01;

std::string table2_csv(const std::vector<CheckpointReport>& reports) {
  const bool published = any_published(reports);
  std::string csv = "checkpoint,beta,loss_x,loss_y,ce,bits_per_dim,acc1,acc5";
  if (published)
    csv +=
        ",oce_0.997,loss_x_released,bits_paper,loss_x_published,ce_published,"
        "bits_per_dim_published,acc1_published,oce_published";
  csv += '\n';
  for (const CheckpointReport& report : reports) {
    const EvaluationSummary& s = report.noisy.summary;
    const bool density = report.noisy.has_density;
    const auto of_density = [&](double value) {
      return density ? fmt::format("{}", value) : std::string();
    };
    csv += fmt::format("{},{},{},{},{},{},{},{}", csv_field(report.checkpoint),
                       density ? beta_text(report.beta) : "", of_density(s.loss_x), s.loss_y, s.ce,
                       of_density(s.bits_per_dim), s.acc1, s.acc5);
    if (published) {
      const double released = released_loss_x(report);
      using Row = PublishedEvaluation;
      csv += fmt::format(",{},{},{}", overconfidence(report.noisy.images, kOceThreshold).value(),
                         of_density(released), of_density(bits_per_dim_paper(released))) +
             published_fields(report.published, {{&Row::loss_x, 1.0},
                                                 {&Row::ce, 1.0},
                                                 {&Row::bits_per_dim, 1.0},
                                                 {&Row::acc1, kPercent},
                                                 {&Row::oce, 1.0}});
    }
    csv += '\n';
  }
  return csv;
}

std::string table6_csv(const std::vector<CheckpointReport>& reports) {
  std::string csv =
      "checkpoint,beta,ece,mce,ece_top_label,ece_adaptive,ece_classwise,nll,brier,aurc";
  for (const double threshold : kConfidenceThresholds)
    csv += fmt::format(",oce_{0},oce_{0}_error,oce_{0}_images", threshold);
  const bool published = any_published(reports);
  if (published) csv += ",ece_published,mce_published,oce_published";
  csv += '\n';
  for (const CheckpointReport& report : reports) {
    const EvaluationResult& result = report.noisy;
    const Reliability r = reliability_of(result);
    csv += fmt::format("{},{},{},{},{},{},{},{},{},{}", csv_field(report.checkpoint),
                       result.has_density ? beta_text(report.beta) : "", result.calibration.ece(),
                       result.calibration.mce(), top_label_ece(result.images), r.adaptive_ece.value,
                       r.classwise_ece.value, r.nll.value, r.brier.value, r.aurc.value);
    for (const double threshold : kConfidenceThresholds) {
      const Overconfidence oce = overconfidence(result.images, threshold);
      csv += fmt::format(",{},{},{}", oce.value(), oce.standard_error(), oce.confident);
    }
    using Row = PublishedEvaluation;
    if (published)
      csv += published_fields(report.published,
                              {{&Row::ece, kPercent}, {&Row::mce, kPercent}, {&Row::oce, 1.0}});
    csv += '\n';
  }
  return csv;
}

/// Bits/dim against accuracy; empty without a density.
std::string trade_off_svg(const std::vector<CheckpointReport>& reports) {
  Series points{
      .name = "flows by beta", .x = {}, .y = {}, .error = {}, .labels = {}, .line = false};
  double low = std::numeric_limits<double>::infinity(), high = -low;
  double worst = 1.0, best = 0.0;
  for (const CheckpointReport& report : reports) {
    const EvaluationSummary& s = report.noisy.summary;
    if (report.noisy.has_density) {
      low = std::min(low, s.bits_per_dim);
      high = std::max(high, s.bits_per_dim);
    }
    if (report.noisy.has_density && report.beta == 0.0) continue;
    worst = std::min(worst, s.acc1);
    best = std::max(best, s.acc1);
    if (!report.noisy.has_density) continue;
    points.x.push_back(s.bits_per_dim);
    points.y.push_back(100.0 * s.acc1);
    points.labels.push_back(beta_text(report.beta));
  }
  if (low > high) return {};
  const double room = std::max(0.05, 0.1 * (high - low));
  Chart chart;
  chart.title = "Density against accuracy";
  chart.x_title = "bits/dim";
  chart.y_title = "top-1, %";
  chart.width = 640;
  chart.series.push_back(std::move(points));
  for (const CheckpointReport& report : reports) {
    const EvaluationSummary& s = report.noisy.summary;
    if (!report.noisy.has_density)
      chart.series.push_back({.name = checkpoint_name(report.checkpoint) + " (no density)",
                              .x = {low - room, high + room},
                              .y = {100.0 * s.acc1, 100.0 * s.acc1},
                              .error = {},
                              .labels = {},
                              .dashed = true,
                              .points = false});
    else if (report.beta == 0.0)
      chart.series.push_back({.name = "beta 0 (no classes)",
                              .x = {s.bits_per_dim, s.bits_per_dim},
                              .y = {100.0 * std::min(worst, best) - 1.0, 100.0 * best + 1.0},
                              .error = {},
                              .labels = {},
                              .dashed = true,
                              .points = false});
  }
  return chart.svg();
}

}  // namespace

std::string checkpoint_name(const std::string& path) {
  const std::filesystem::path file(path);
  const std::filesystem::path folder = file.parent_path();
  return folder.filename() == "checkpoints" ? folder.parent_path().filename().string()
                                            : file.stem().string();
}

std::string calibration_svg(const std::vector<CheckpointReport>& reports) {
  Chart chart;
  chart.title = "Calibration, one class against all others";
  chart.x_title = "confidence q(class | image)";
  chart.y_title = "how often it is right";
  chart.width = 640;
  chart.x_high = chart.y_high = 1.0;
  for (const CheckpointReport& report : reports) {
    // Beta 0 has no classes whose probabilities could mean anything.
    if (report.beta == 0.0 && reports.size() > 1) continue;
    Series line = calibration_series(report);
    if (!line.x.empty()) chart.series.push_back(std::move(line));
  }
  chart.series.push_back({.name = "perfect",
                          .x = {0.0, 1.0},
                          .y = {0.0, 1.0},
                          .dashed = true,
                          .points = false,
                          .color = "#777"});
  return chart.svg();
}

std::string risk_svg(const std::vector<CheckpointReport>& reports) {
  Chart chart;
  chart.title = "Answering only where the confidence is high";
  chart.x_title = "share of images that are answered";
  chart.y_title = "error rate among them";
  chart.width = 640;
  chart.x_high = 1.0;
  for (const CheckpointReport& report : reports) chart.series.push_back(risk_series(report));
  return chart.svg();
}

void write_figures(const std::string& folder, const std::vector<CheckpointReport>& reports) {
  make_folders(folder);
  const auto file = [&](const std::string& name) {
    return (std::filesystem::path(folder) / name).string();
  };
  for (size_t i = 0; i < reports.size(); ++i) {
    write_atomic(file(fmt::format("calibration_{}.csv", i + 1)), calibration_csv(reports[i].noisy));
    write_atomic(file(fmt::format("risk_{}.csv", i + 1)), risk_csv(reports[i].noisy));
    if (reports[i].noisy.has_density)
      write_atomic(file(fmt::format("density_{}.svg", i + 1)), density_svg(reports[i]));
  }
  write_atomic(file("table2.csv"), table2_csv(reports));
  write_atomic(file("table6.csv"), table6_csv(reports));
  if (const std::string svg = trade_off_svg(reports); !svg.empty())
    write_atomic(file("fig2.svg"), svg);
  write_atomic(file("calibration.svg"), calibration_svg(reports));
  write_atomic(file("risk.svg"), risk_svg(reports));
}

}  // namespace pal
