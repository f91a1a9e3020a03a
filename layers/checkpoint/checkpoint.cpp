#include "layers/checkpoint/checkpoint.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <functional>
#include <set>

#include "layers/checkpoint/checkpoint_reader.h"
#include "layers/checkpoint/safetensors.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/log.h"
#include "runtime/paths.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "palindrome-checkpoint";
constexpr std::array kRequiredKeys = {"architecture", "configuration", "step",
                                      "epoch",        "samples_seen",  "class_names"};

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

/// The step-N files of a folder of checkpoints, largest N first.
std::map<int64_t, fs::path, std::greater<>> step_files_in(const fs::path& checkpoints) {
  std::map<int64_t, fs::path, std::greater<>> files;
  for (const auto& entry : folder_entries(checkpoints)) {
    const std::string stem = entry.path().stem().string();
    constexpr std::string_view kPrefix = "step-";
    if (!stem.starts_with(kPrefix) || entry.path().extension() != ".safetensors") continue;
    if (const auto step = whole_number(std::string_view(stem).substr(kPrefix.size())))
      files.emplace(*step, entry.path());
  }
  return files;
}

/// The same of FOLDER/checkpoints.
std::map<int64_t, fs::path, std::greater<>> step_files(const std::string& folder) {
  return step_files_in(fs::path(folder) / "checkpoints");
}

/// The checkpoint of a folder of checkpoints that counts as its result.
std::optional<fs::path> chosen_in(const fs::path& checkpoints) {
  for (const char* link : {"best", "last"})
    if (path_is_file(checkpoints / link)) return checkpoints / link;
  if (const auto steps = step_files_in(checkpoints); !steps.empty()) return steps.begin()->second;
  const fs::path final = checkpoints / "final.safetensors";
  return path_is_file(final) ? std::optional(final) : std::nullopt;
}

}  // namespace

const Tensor* Checkpoint::find(const std::string& name) const {
  const auto found = std::ranges::find(tensors, name, &std::pair<std::string, Tensor>::first);
  return found == tensors.end() ? nullptr : &found->second;
}

std::string Checkpoint::entry(const std::string& key) const {
  const auto found = metadata.find(key);
  return found == metadata.end() ? std::string() : found->second;
}

int64_t Checkpoint::integer(const std::string& key) const {
  const auto found = metadata.find(key);
  if (found == metadata.end()) fail(ErrorKind::data, "checkpoint: no metadata {}", key);
  const auto value = whole_number(found->second);
  if (!value)
    fail(ErrorKind::data, "checkpoint: metadata {}: expected a whole number, got {}", key,
         printable(found->second));
  return *value;
}

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  auto metadata = checkpoint.metadata;
  for (const char* key : kRequiredKeys)
    expect(metadata.contains(key), "save_checkpoint: no metadata {}", key);
  metadata["format"] = kFormat;
  metadata["format_version"] = std::to_string(kCheckpointVersion);
  write_safetensors(path, metadata, checkpoint.tensors, FileLayout::channel_first);
}

Checkpoint load_checkpoint(const std::string& path) {
  const CheckpointReader reader(path);
  Checkpoint checkpoint{reader.metadata(), {}};
  for (const TensorInfo& info : reader.tensors()) {
    const Shape shape = engine_shape(info, path);
    checkpoint.tensors.emplace_back(
        info.name, Tensor::empty(shape, *info.dtype, TagScope::current(), Device()));
  }
  reader.read(checkpoint.tensors);
  return checkpoint;
}

Checkpoint load_metadata(const std::string& path) {
  const CheckpointReader reader(path);
  reader.verify();
  return {reader.metadata(), {}};
}

void verify_checkpoint(const std::string& path) { CheckpointReader(path).verify(); }

void check_checkpoint(const SafetensorsFile& file) {
  check_checkpoint_metadata(file.metadata(), file.name());
  if (!file.verify_digest())
    fail(ErrorKind::data, "{}:8: the file does not match its digest; use an earlier checkpoint",
         file.name());
}

void check_checkpoint_metadata(const std::map<std::string, std::string>& metadata,
                               const std::string& name) {
  if (!is_checkpoint(metadata))
    fail(ErrorKind::data, "{}:8: not a Palindrome checkpoint: metadata format is not \"{}\"", name,
         kFormat);
  const auto noted = metadata.find("format_version");
  const auto version = noted == metadata.end() ? std::nullopt : whole_number(noted->second);
  if (!version || *version < 1) fail(ErrorKind::data, "{}:8: no valid format_version", name);
  if (*version > kCheckpointVersion)
    fail(ErrorKind::data,
         "{}:8: checkpoint of format version {}, this program reads up to {}; use a newer one",
         name, *version, kCheckpointVersion);
  for (const char* key : kRequiredKeys)
    if (!metadata.contains(key)) fail(ErrorKind::data, "{}:8: no metadata {}", name, key);
}

bool is_checkpoint(const std::map<std::string, std::string>& metadata) {
  const auto found = metadata.find("format");
  return found != metadata.end() && found->second == kFormat;
}

std::string step_checkpoint_path(const std::string& folder, int64_t step) {
  return (fs::path(folder) / "checkpoints" / fmt::format("step-{}.safetensors", step)).string();
}

bool holds_checkpoints(const std::string& path) {
  return path_is_folder(fs::path(path) / "checkpoints") ||
         (path_is_folder(path) && chosen_in(path));
}

std::string checkpoint_of(const std::string& path) {
  const std::string suffixed = path + ".safetensors";
  if (!path_exists(path) && path_exists(suffixed)) return suffixed;
  if (!path_is_folder(path)) return path;
  const fs::path inner = fs::path(path) / "checkpoints";
  const auto chosen = chosen_in(path_is_folder(inner) ? inner : fs::path(path));
  expect(chosen.has_value(),
         "{}: a folder without checkpoints; expected a run folder or a checkpoint file", path);
  const auto target = link_target(*chosen);
  log_info("{}: taking {}{}", path, chosen->string(),
           target ? ", which is " + target->string() : "");
  return chosen->string();
}

std::optional<std::string> find_resume(const std::string& folder) {
  const auto files = step_files(folder);
  for (const auto& [step, path] : files) {
    try {
      verify_checkpoint(path.string());
      return path.string();
    } catch (const Error& error) {
      log_warning("{}; going back to the checkpoint before it", error.what());
    }
  }
  if (!files.empty())
    fail(
        ErrorKind::data,
        "{}/checkpoints: none of {} step checkpoints is whole; choose another folder to start anew",
        folder, files.size());
  return std::nullopt;
}

std::vector<int64_t> checkpoint_steps(const std::string& folder) {
  std::vector<int64_t> steps;
  for (const auto& [step, path] : step_files(folder)) steps.push_back(step);
  return steps;
}

void prune_checkpoints(const std::string& folder, int64_t keep) {
  expect(keep >= 1, "prune_checkpoints: expected to keep at least 1, got {}", keep);
  std::set<fs::path> linked;
  for (const auto& entry : folder_entries(fs::path(folder) / "checkpoints"))
    if (const auto target = link_target(entry)) linked.insert(target->filename());
  int64_t kept = 0;
  for (const auto& [step, path] : step_files(folder))
    if (++kept > keep && !linked.contains(path.filename())) remove_file(path.string());
}

}  // namespace pal
