#include "experiments/comparison/robustness_record.h"

#include <filesystem>
#include <string>

#include "data/corruptions/corruption.h"
#include "runtime/error.h"
#include "runtime/json.h"
#include "runtime/paths.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

/// The file of a run, or empty.
std::string robustness_file(const RunRecord& run) {
  const fs::path own = fs::path(run.path) / "robustness" / "robustness.json";
  const fs::path shared = fs::path(run.path) / ".." / "robustness" / "robustness.json";
  if (path_exists(own)) return own.string();
  return path_exists(shared) ? shared.string() : std::string();
}

/// Whether a model of the file has what pages read of it.
bool is_whole(const nlohmann::json& model) {
  const auto has_number = [](const nlohmann::json& object, const char* key) {
    return object.is_object() && object.contains(key) && object.at(key).is_number();
  };
  const auto has_list = [](const nlohmann::json& object, const char* key) {
    return object.contains(key) && object.at(key).is_array() && !object.at(key).empty();
  };
  for (const char* const key : {"images", "clean_error", "mean_error", "corruptions_counted"})
    if (!has_number(model, key)) return false;
  if (!has_list(model, "corruptions")) return false;
  for (const auto& row : model.at("corruptions")) {
    if (!has_number(row, "mean_error") || !row.contains("corruption") ||
        !row.at("corruption").is_string() ||
        !corruption_of(row.at("corruption").get<std::string>()) || !has_list(row, "severities"))
      return false;
    for (const auto& severity : row.at("severities"))
      if (!has_number(severity, "severity") || !has_number(severity, "error")) return false;
    for (const char* const key : {"auc", "auc_entropy"})
      if (!row.contains(key) ||
          !(row.at(key).is_null() ||
            (has_number(row.at(key), "value") && has_number(row.at(key), "standard_error"))))
        return false;
  }
  return true;
}

}  // namespace

nlohmann::json robustness_record(const RunRecord& run) {
  const std::string path = robustness_file(run);
  if (path.empty()) return {};
  const nlohmann::json file(parse_json_file(path));
  if (!file.is_object() || !file.contains("models") || !file.at("models").is_array())
    fail(ErrorKind::data, "{}: not as pal-robustness writes it; make it anew", path);
  for (const auto& model : file.at("models")) {
    if (!model.is_object() || !model.contains("label") || model.at("label") != run.name) continue;
    if (is_whole(model)) return model;
    fail(ErrorKind::data, "{}: not as pal-robustness writes it; make it anew", path);
  }
  return {};
}

std::optional<RunNumber> corruption_auc(const RunRecord& run) {
  const nlohmann::json model = robustness_record(run);
  if (!model.is_object() || !model.value("mean_auc", nlohmann::json()).is_number())
    return std::nullopt;
  // All kinds corrupt the same images, so that their errors do not average out.
  double errors = 0.0;
  int64_t count = 0;
  for (const auto& row : model.at("corruptions")) {
    if (value_or(row, "group", std::string()) == "extra" || !row.at("auc").is_object()) continue;
    errors += row.at("auc").at("standard_error").get<double>();
    ++count;
  }
  if (count != static_cast<int64_t>(all_corruptions().size())) return std::nullopt;
  return RunNumber{model.at("mean_auc").get<double>(), errors / static_cast<double>(count)};
}

std::optional<RunNumber> corruption_mce(const RunRecord& run) {
  const nlohmann::json model = robustness_record(run);
  if (!model.is_object() || !model.value("mce", nlohmann::json()).is_number()) return std::nullopt;
  return RunNumber{model.at("mce").get<double>(), std::nullopt};
}

}  // namespace pal
