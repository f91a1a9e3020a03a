#include "experiments/comparison/run_files.h"

#include <utility>

#include "runtime/file.h"
#include "runtime/json.h"
#include "runtime/paths.h"

namespace pal {
namespace {

/// Points that a curve keeps.
constexpr size_t kMostPoints = 200;

double value_of(const nlohmann::json& row, const char* key) {
  const auto found = row.find(key);
  return found != row.end() && found->is_number() ? found->get<double>() : 0.0;
}

CurvePoint point_of(const nlohmann::json& row, const char* entropy) {
  CurvePoint point;
  point.epoch = value_of(row, "epoch");
  point.loss = value_of(row, "loss");
  point.loss_x = value_of(row, "loss_x");
  point.cross_entropy = value_of(row, entropy);
  point.accuracy = value_of(row, "acc1");
  point.bits_per_dim = value_of(row, "bits_per_dim");
  point.learning_rate = value_of(row, "lr");
  return point;
}

/// The means of at most kMostPoints equal parts.
std::vector<CurvePoint> thinned(const std::vector<CurvePoint>& points) {
  if (points.size() <= kMostPoints) return points;
  std::vector<CurvePoint> means;
  for (size_t k = 0; k < kMostPoints; ++k) {
    const size_t first = k * points.size() / kMostPoints;
    const size_t last = (k + 1) * points.size() / kMostPoints;
    CurvePoint mean;
    const double share = 1.0 / static_cast<double>(last - first);
    for (size_t i = first; i < last; ++i)
      for (double CurvePoint::*const member :
           {&CurvePoint::epoch, &CurvePoint::loss, &CurvePoint::loss_x, &CurvePoint::cross_entropy,
            &CurvePoint::accuracy, &CurvePoint::bits_per_dim, &CurvePoint::learning_rate})
        mean.*member += share * points[i].*member;
    means.push_back(mean);
  }
  return means;
}

}  // namespace

void read_curves(const std::string& path, RunRecord& run) {
  std::vector<CurvePoint> steps;
  double epochs_per_step = 0.0;
  for (const std::string& line : read_lines(path)) {
    // The last line of a killed run may be torn.
    const auto row = parse_json(line);
    if (!row.is_object()) continue;
    const auto kind = row.find("kind");
    if (kind == row.end()) continue;
    if (*kind == "train") {
      steps.push_back(point_of(row, "loss_y"));
      if (const double step = value_of(row, "step"); step > 0.0)
        epochs_per_step = steps.back().epoch / step;
    } else if (*kind == "val" && !row.contains("weights") &&
               value_or(row, "model", std::string()) != "ema") {
      // Of the weights that train, also at the end; an average of them has rows of its own.
      CurvePoint point = point_of(row, "ce");
      point.epoch = epochs_per_step * value_of(row, "step");
      if (!run.validation.empty() && run.validation.back().epoch == point.epoch)
        run.validation.pop_back();
      run.validation.push_back(point);
    }
  }
  run.training = thinned(steps);
}

void read_machine(const std::string& path, RunRecord& run) {
  if (!path_exists(path)) return;
  const nlohmann::json file(parse_json_file(path));
  if (!file.is_object()) return;
  for (const auto& [key, text] :
       {std::pair("device", &run.device), std::pair("processor", &run.processor),
        std::pair("precision", &run.precision), std::pair("version", &run.version)})
    *text = value_or(file, key, std::string());
  run.threads = value_or(file, "threads", int64_t{0});
  const auto commands = file.find("commands");
  if (commands == file.end() || !commands->is_array()) return;
  for (const auto& command : *commands)
    if (command.is_string()) run.commands.push_back(command.get<std::string>());
}

}  // namespace pal
