#include "experiments/command_line/output_file.h"

#include <filesystem>
#include <optional>

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

/// The metadata of a checkpoint; none of other files.
std::optional<Checkpoint> checkpoint_metadata(const fs::path& file) {
  if (!path_is_file(file)) return std::nullopt;
  try {
    return load_metadata(file.string());
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// Throws unless a file may be made there, whatever it was.
void check_place(const std::string& flag, const fs::path& file) {
  expect(file.has_filename() && !path_is_folder(file), "{}: {} is a folder; name a file in it",
         flag, file.string());
  const fs::path folder = file.parent_path();
  if (!folder.empty() && !path_is_folder(folder))
    fail(ErrorKind::environment, "{}: {}: there is no folder {}; make it first", flag,
         file.string(), folder.string());
}

void expect_not_lost(bool lost, const std::string& flag, const std::string& path) {
  expect(!lost, "{}: {} is a checkpoint or a file of a run, which would be lost; name another file",
         flag, path);
}

}  // namespace

void check_output_file(const std::string& flag, const std::string& path) {
  if (path.empty()) return;
  check_place(flag, path);
  expect_not_lost(is_part_of_run(path) || checkpoint_metadata(path).has_value(), flag, path);
}

void check_output_model(const std::string& flag, const std::string& path) {
  if (path.empty()) return;
  check_place(flag, path);
  const auto there = checkpoint_metadata(path);
  const std::string folder = fs::path(path).parent_path().filename().string();
  expect_not_lost(is_part_of_run(path) || folder == "checkpoints" ||
                      (there && there->metadata.contains("trainer")),
                  flag, path);
}

}  // namespace pal
