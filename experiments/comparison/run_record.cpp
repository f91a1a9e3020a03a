#include "experiments/comparison/run_record.h"

#include <filesystem>

#include "experiments/comparison/run_files.h"
#include "experiments/recipe/training_recipe.h"
#include "layers/models/model_io.h"
#include "runtime/error.h"
#include "runtime/json.h"
#include "runtime/paths.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

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
  if (!path_exists(path)) fail(ErrorKind::data, "{}: no such run folder or checkpoint", path);
  if (!path_is_folder(path)) {
    read_recipe(path, run);
    return run;
  }
  if (!path_exists(path + "/metrics.jsonl") && !holds_checkpoints(path))
    fail(ErrorKind::data, "{}: not a run folder: it has neither metrics.jsonl nor checkpoints",
         path);
  read_curves(path + "/metrics.jsonl", run);
  read_machine(path + "/run.json", run);
  const std::string file = path + "/summary.json";
  if (path_exists(file)) {
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
