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

/// What a file is and whether it is whole.
struct FileReport {
  enum class Verdict { ok, warning, error };

  std::string file;
  /// jpeg, png, safetensors, checkpoint, pt, tar, idx, unknown
  std::string kind = "unknown";
  Verdict verdict = Verdict::ok;
  /// One line each; an error is the last.
  std::vector<std::string> messages;
  /// Of the error, if there is one.
  ErrorKind error_kind = ErrorKind::data;

  /// Pictures: the size after EXIF rotation, and the mean red, green and blue (0 to 255) of the
  /// top-left quarter.
  int64_t width = 0;
  int64_t height = 0;
  std::array<double, 3> top_left{};
  /// Files of tensors: their names, in the order of their bytes, the sum of all values, metadata.
  std::vector<std::string> names;
  double sum = 0.0;
  std::map<std::string, std::string> metadata;
  /// Tar shards: labelled pictures.
  int64_t samples = 0;
  /// IDX arrays.
  std::vector<int64_t> shape;
};

/// Examines one file by its content (its name decides only where the content tells nothing). Never
/// throws for a broken file: the report says what is wrong.
FileReport inspect_file(const std::string& path, const ImageLimits& limits = {});

/// Whether a file of this name is expected to be of a kind that inspect_file knows.
bool has_known_suffix(const std::string& path);

/// {file, kind, verdict, messages, ...} with the fields of the kind (spec/interfaces.md).
std::string to_json(const FileReport& report);
/// One line for people.
std::string to_text(const FileReport& report);

}  // namespace pal
