#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/pictures/image_file.h"
#include "runtime/error.h"

namespace pal {

/// How much of a file is looked at.
struct InspectOptions {
  ImageLimits limits;
  bool deep = false;  ///< every picture of a shard is decoded, not the first alone
};

/// What a file is and whether it is whole.
struct FileReport {
  enum class Verdict { ok, warning, error };

  std::string file;
  /// jpeg, png, safetensors, checkpoint, pt, tar, idx, unknown
  std::string kind = "unknown";
  Verdict verdict = Verdict::ok;
  /// What there is to say about the file, one line each; an error is the last.
  std::vector<std::string> messages;
  /// Kind of the error, if there is one.
  ErrorKind error_kind = ErrorKind::data;

  // Pictures.
  int64_t width = 0;                 ///< in pixels, after EXIF rotation
  int64_t height = 0;                ///< in pixels, after EXIF rotation
  std::array<double, 3> top_left{};  ///< mean red, green, blue (0 to 255) of the top left quarter
  // Files of tensors.
  std::vector<std::string> names;  ///< of the tensors, in the order of their bytes
  double sum = 0.0;                ///< of all values
  std::map<std::string, std::string> metadata;
  /// Keys of the networks that pal-convert knows, in files that are not checkpoints of ours.
  std::vector<std::string> networks;
  // Tar shards.
  int64_t samples = 0;  ///< labelled pictures
  // IDX arrays.
  std::vector<int64_t> shape;
};

/// Examines one file by its content (its name decides only where the content tells nothing). Never
/// throws for a broken file: the report says what is wrong.
FileReport inspect_file(const std::string& path, const InspectOptions& options = {});

/// Examines the files of the MNIST family in a folder, each of which is whole, as the loader does:
/// whether they belong together. Nothing if there is nothing to say, or none of them is there.
std::optional<FileReport> inspect_idx_folder(const std::string& folder);

/// Whether a file of this name is expected to be of a kind that inspect_file knows.
bool has_known_suffix(const std::string& path);

/// {file, kind, verdict, messages, ...} with the fields of the kind.
std::string to_json(const FileReport& report);
/// The report as one line for people.
std::string to_text(const FileReport& report);

}  // namespace pal
