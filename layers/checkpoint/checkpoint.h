#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/tensor.h"

namespace pal {

class SafetensorsFile;

/// A training state or a trained model: named tensors (`model.*`, `optimizer.*`, `rng.*`) and text.
/// Metadata keys that every checkpoint has: format, format_version (both set on saving),
/// architecture, configuration (JSON), step, epoch, samples_seen (whole numbers), class_names (JSON
/// array). Nothing in it may depend on time, path or host, so that equal runs give equal files.
struct Checkpoint {
  std::map<std::string, std::string> metadata;
  /// Engine layout: images NHWC, convolution weights OHWI.
  std::vector<std::pair<std::string, Tensor>> tensors;

  /// The tensor of a name; null if there is none.
  const Tensor* find(const std::string& name) const;
  /// A metadata entry; empty if there is none.
  std::string entry(const std::string& key) const;
  /// A metadata entry that is a whole number of at least 0. Throws data otherwise.
  int64_t integer(const std::string& key) const;
};

/// The format version that save_checkpoint writes and the newest that load_checkpoint reads.
inline constexpr int kCheckpointVersion = 1;

/// Writes one safetensors file atomically, with its digest; rank-4 tensors are stored channel-first
/// (NCHW, OIHW) for other readers. Throws usage if a required key is missing, environment if the
/// file cannot be written (an old file of that name then stays as it was).
void save_checkpoint(const std::string& path, const Checkpoint& checkpoint);

/// Reads a whole checkpoint, rank-4 tensors back in engine layout. Throws data naming the file if
/// it is broken, is no checkpoint, has a newer format version or does not match its digest.
Checkpoint load_checkpoint(const std::string& path);

/// The metadata of a checkpoint, without its tensors. Throws data as load_checkpoint.
Checkpoint load_metadata(const std::string& path);
/// Makes all the checks of load_checkpoint, but no tensors. Throws data as it does.
void verify_checkpoint(const std::string& path);
/// Makes the checks of load_checkpoint that go beyond the safetensors format: kind, version,
/// digest, required keys. Throws data.
void check_checkpoint(const SafetensorsFile& file);

/// Whether a file's metadata says that it is a checkpoint.
bool is_checkpoint(const std::map<std::string, std::string>& metadata);

/// The path of the checkpoint after `step` steps: `FOLDER/checkpoints/step-N.safetensors`.
std::string step_checkpoint_path(const std::string& folder, int64_t step);

/// Whether a folder is that of a run (it has a folder `checkpoints`) or of a run's checkpoints.
bool holds_checkpoints(const std::string& path);

/// The checkpoint that a path stands for. A folder stands for its best one: of FOLDER/checkpoints
/// if there is such a folder, else of FOLDER, the first that is there of `best`, `last`, the step-N
/// file with the largest N and final.safetensors; the log says which. Any other path is returned as
/// it is. Throws usage for a folder without checkpoints.
std::string checkpoint_of(const std::string& path);

/// Where a run in FOLDER goes on: the path of the step-N checkpoint with the largest N in
/// FOLDER/checkpoints that verifies; each newer one that does not is named in a warning. None if
/// there is no step-N checkpoint; throws data if there are some and none verifies.
std::optional<std::string> find_resume(const std::string& folder);

/// The N of the step-N checkpoints in FOLDER/checkpoints, whole or not, the largest first.
std::vector<int64_t> checkpoint_steps(const std::string& folder);

/// Removes the step-N checkpoints of FOLDER/checkpoints but the `keep` with the largest N and those
/// that a link in that folder points to. Other files stay. Throws usage if keep is below 1.
void prune_checkpoints(const std::string& folder, int64_t keep);

}  // namespace pal
