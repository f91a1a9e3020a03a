#include "experiments/command_line/output_file.h"

#include <filesystem>

#include "layers/checkpoint/checkpoint.h"
#include "runtime/error.h"
#include "runtime/paths.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

bool is_part_of_run(const fs::path& file) {
  const std::string name = file.filename().string();
  const bool kept = name == "config.toml" || name == "run.json" || name == "metrics.jsonl";
  return kept && path_exists(file) && path_is_folder(file.parent_path() / "checkpoints");
}

bool is_checkpoint_file(const fs::path& file) {
  if (!path_is_file(file)) return false;
  try {
    load_metadata(file.string());
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

void check_output_file(const std::string& flag, const std::string& path) {
  if (path.empty()) return;
  const std::filesystem::path file(path);
  expect(file.has_filename() && !path_is_folder(file), "{}: {} is a folder; name a file in it",
         flag, path);
  const std::filesystem::path folder = file.parent_path();
  if (!folder.empty() && !path_is_folder(folder))
    fail(ErrorKind::environment, "{}: {}: there is no folder {}; make it first", flag, path,
         folder.string());
  expect(!is_part_of_run(file) && !is_checkpoint_file(file),
         "{}: {} is a checkpoint or a file of a run, which would be lost; name another file", flag,
         path);
}

}  // namespace pal
