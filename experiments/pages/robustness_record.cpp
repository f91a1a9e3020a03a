#include "experiments/pages/robustness_record.h"

#include <cmath>
#include <filesystem>
#include <string>

#include "runtime/error.h"
#include "runtime/json.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

/// The file of a run, or empty.
std::string robustness_file(const RunRecord& run) {
  const fs::path own = fs::path(run.path) / "robustness" / "robustness.json";
  const fs::path shared = fs::path(run.path) / ".." / "robustness" / "robustness.json";
  std::error_code ignored;
  if (fs::exists(own, ignored)) return own.string();
  return fs::exists(shared, ignored) ? shared.string() : std::string();
}

}  // namespace

nlohmann::json robustness_record(const RunRecord& run) {
  const std::string path = robustness_file(run);
  if (path.empty()) return {};
  const nlohmann::json file(parse_json_file(path));
  try {
    for (const auto& model : file.at("models"))
      if (model.at("label") == run.name) return model;
  } catch (const nlohmann::json::exception&) {
    fail(ErrorKind::data, "{}: not as pal-robustness writes it; make it anew", path);
  }
  return {};
}

std::optional<RunNumber> corruption_auc(const RunRecord& run) {
  const nlohmann::json model = robustness_record(run);
  if (!model.is_object() || !model.value("mean_auc", nlohmann::json()).is_number())
    return std::nullopt;
  double squares = 0.0;
  int64_t count = 0;
  for (const auto& row : model.at("corruptions")) {
    if (row.value("group", "") == "extra" || !row.at("auc").is_object()) continue;
    squares += std::pow(row.at("auc").at("standard_error").get<double>(), 2.0);
    ++count;
  }
  RunNumber number{model.at("mean_auc").get<double>(), std::nullopt};
  if (count > 0) number.error = std::sqrt(squares) / static_cast<double>(count);
  return number;
}

std::optional<RunNumber> corruption_mce(const RunRecord& run) {
  const nlohmann::json model = robustness_record(run);
  if (!model.is_object() || !model.value("mce", nlohmann::json()).is_number()) return std::nullopt;
  return RunNumber{model.at("mce").get<double>(), std::nullopt};
}

}  // namespace pal
