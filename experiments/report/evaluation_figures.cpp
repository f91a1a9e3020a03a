#include "experiments/report/evaluation_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "experiments/measures/risk_coverage.h"
#include "experiments/report/chart.h"
#include "experiments/trust/reliability.h"
#include "runtime/file.h"

namespace pal {
namespace {

/// What a checkpoint is called in a legend: its run folder or file, as short as can be told apart.
std::string short_name(const std::string& path) {
  const std::filesystem::path file(path);
  const std::filesystem::path folder = file.parent_path();
  return folder.filename() == "checkpoints" ? folder.parent_path().filename().string()
                                            : file.stem().string();
}

Series calibration_series(const CheckpointReport& report) {
  Series series;
  series.name = short_name(report.checkpoint);
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
  series.name = short_name(report.checkpoint);
  const std::vector<double> risk = risk_by_coverage(report.noisy.images);
  const size_t step = std::max<size_t>(1, risk.size() / kPoints);
  for (size_t k = step - 1; k < risk.size(); k += step) {
    series.x.push_back(static_cast<double>(k + 1) / static_cast<double>(risk.size()));
    series.y.push_back(risk[k]);
  }
  return series;
}

}  // namespace

void write_figures(const std::string& folder, const std::vector<CheckpointReport>& reports) {
  make_folders(folder);
  const auto file = [&](const std::string& name) {
    return (std::filesystem::path(folder) / name).string();
  };
  Chart calibration;
  calibration.title = "Calibration, one class against all others";
  calibration.x_title = "confidence q(class | image)";
  calibration.y_title = "how often it is right";
  calibration.width = 640;
  calibration.x_high = calibration.y_high = 1.0;
  Chart risk;
  risk.title = "Answering only where the confidence is high";
  risk.x_title = "share of images that are answered";
  risk.y_title = "error rate among them";
  risk.width = 640;
  risk.x_high = 1.0;
  for (size_t i = 0; i < reports.size(); ++i) {
    Series line = calibration_series(reports[i]);
    if (!line.x.empty()) calibration.series.push_back(std::move(line));
    risk.series.push_back(risk_series(reports[i]));
    write_atomic(file(fmt::format("calibration_{}.csv", i + 1)), calibration_csv(reports[i].noisy));
    write_atomic(file(fmt::format("risk_{}.csv", i + 1)), risk_csv(reports[i].noisy));
  }
  calibration.series.push_back({.name = "perfect",
                                .x = {0.0, 1.0},
                                .y = {0.0, 1.0},
                                .error = {},
                                .labels = {},
                                .dashed = true});
  write_atomic(file("calibration.svg"), calibration.svg());
  write_atomic(file("risk.svg"), risk.svg());
}

}  // namespace pal
