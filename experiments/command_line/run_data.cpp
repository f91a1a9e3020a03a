#include "experiments/command_line/run_data.h"

#include <filesystem>

#include "experiments/command_line/options_file.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/paths.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

/// What a checkpoint records of a set of this name.
std::string recorded(const RunData& data) {
  DatasetSpec spec;
  spec.name = data.dataset;
  return recorded_name(spec);
}

/// Whether the data are a folder: neither a known set nor a pattern of shards.
bool is_folder_name(const RunData& data) {
  return !data.dataset.ends_with(".tar") && recorded(data) == kRecordedFolder;
}

}  // namespace

std::optional<RunData> run_data(const std::string& checkpoint) {
  std::error_code failed;
  const fs::path folder = fs::absolute(checkpoint, failed).lexically_normal().parent_path();
  const fs::path config = folder.parent_path() / "config.toml";
  if (failed || folder.filename() != "checkpoints" || !path_is_file(config)) return std::nullopt;
  std::map<std::string, std::string> values = config_values(config.string());
  RunData data{config.string(), values["dataset"], values["dir"], values["class-names"]};
  if (data.dataset.empty()) data.dataset = std::exchange(data.folder, "");
  if (data.dataset.empty()) return std::nullopt;
  return data;
}

void take_run_data(DataOptions& options, const std::string& checkpoint,
                   const std::string& trained_on) {
  if (!options.dataset.empty() || !options.folder.empty()) return;
  const auto data = run_data(checkpoint);
  if (!data) return;
  if (!trained_on.empty() && recorded(*data) != trained_on) return;
  expect(!is_folder_name(*data) || path_is_folder(data->dataset),
         "DIR: {}, the data of {}, is no folder (any longer); name the folder", data->dataset,
         data->config);
  options.dataset = data->dataset;
  options.folder = data->folder;
  if (options.class_names.empty() && path_is_file(data->class_names))
    options.class_names = data->class_names;
  log_info("data: {}, as {} says", data->dataset, data->config);
}

}  // namespace pal
