#include "experiments/comparison/run_record.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "experiments/recipe/training_recipe.h"
#include "layers/models/model_io.h"
#include "runtime/error.h"
#include "runtime/json.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

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

void read_curves(const std::string& path, RunRecord& run) {
  std::ifstream file(path);
  std::vector<CurvePoint> steps;
  double epochs_per_step = 0.0;
  for (std::string line; std::getline(file, line);) {
    // The last line of a killed run may be torn.
    const auto row = parse_json(line);
    if (!row.is_object()) continue;
    const auto kind = row.find("kind");
    if (kind == row.end()) continue;
    if (*kind == "train") {
      steps.push_back(point_of(row, "loss_y"));
      if (const double step = value_of(row, "step"); step > 0.0)
        epochs_per_step = steps.back().epoch / step;
    } else if (*kind == "val" && !row.contains("weights") && row.value("model", "") != "ema") {
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

/// What the run's best or newest checkpoint records of it.
void read_recipe(const std::string& path, RunRecord& run) {
  const Checkpoint checkpoint = load_metadata(path);
  const ModelConfig config = checkpoint_config(checkpoint, path);
  run.arch = config.arch;
  run.flow = config.family == ModelFamily::flow;
  const auto recipe = checkpoint.metadata.find("recipe");
  if (recipe == checkpoint.metadata.end()) return;
  const auto recorded = recorded_options(recipe->second, path);
  if (run.flow) run.beta = recorded->options.beta;
  run.seed = recorded->options.seed;
  run.epochs = recorded->options.epochs;
  run.dataset = recorded->options.data.dataset;
}

/// Where the run was made; a run.json that is missing or torn says nothing.
void read_machine(const std::string& path, RunRecord& run) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return;
  const nlohmann::json file(parse_json_file(path));
  if (!file.is_object()) return;
  const auto text = [&](const char* key) {
    const auto found = file.find(key);
    return found != file.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  run.device = text("device");
  run.processor = text("processor");
  run.precision = text("precision");
  run.version = text("version");
  const auto threads = file.find("threads");
  if (threads != file.end() && threads->is_number_integer()) run.threads = threads->get<int64_t>();
  const auto commands = file.find("commands");
  if (commands == file.end() || !commands->is_array()) return;
  for (const auto& command : *commands)
    if (command.is_string()) run.commands.push_back(command.get<std::string>());
}

}  // namespace

bool RunRecord::complete() const {
  const auto found = summary->find("complete");
  return found != summary->end() && found->is_boolean() && found->get<bool>();
}

bool RunRecord::evaluated() const {
  const auto chose = summary->find("chose_checkpoint");
  return number("/images") && number("/acc1") && chose != summary->end() && *chose == false;
}

std::optional<double> RunRecord::number(const std::string& pointer) const {
  const nlohmann::json::json_pointer at(pointer);
  if (!summary->contains(at) || !summary->at(at).is_number()) return std::nullopt;
  return summary->at(at).get<double>();
}

RunRecord read_run(const std::string& path) {
  RunRecord run;
  run.path = path;
  std::string named = fs::path(path).lexically_normal().string();
  while (named.size() > 1 && named.back() == '/') named.pop_back();
  run.name = fs::path(named).filename().string();
  auto summary = std::make_shared<nlohmann::json>(nlohmann::json::object());
  run.summary = summary;
  std::error_code ignored;
  if (!fs::exists(path, ignored))
    fail(ErrorKind::data, "{}: no such run folder or checkpoint", path);
  if (!fs::is_directory(path, ignored)) {
    read_recipe(path, run);
    return run;
  }
  if (!fs::exists(path + "/metrics.jsonl", ignored) && !holds_checkpoints(path))
    fail(ErrorKind::data, "{}: not a run folder: it has neither metrics.jsonl nor checkpoints",
         path);
  read_curves(path + "/metrics.jsonl", run);
  read_machine(path + "/run.json", run);
  const std::string file = path + "/summary.json";
  if (fs::exists(file, ignored)) {
    *summary = nlohmann::json(parse_json_file(file));
    if (!summary->is_object()) fail(ErrorKind::data, "{}: expected a JSON object", file);
  }
  try {
    read_recipe(checkpoint_of(path), run);
  } catch (const Error& error) {
    // A run that was stopped before its first checkpoint has curves all the same.
    if (error.kind() != ErrorKind::usage) throw;
  }
  return run;
}

}  // namespace pal
