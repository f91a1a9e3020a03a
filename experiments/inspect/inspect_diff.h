#pragma once
#include <string>
#include <vector>

namespace pal {

/// How two safetensors files or checkpoints differ, a line each.
struct FileDifference {
  /// Tensors that only one file has, or whose type or shape differ; then those whose values do,
  /// the largest difference first.
  std::vector<std::string> tensors;
  /// Metadata entries that differ, the digest left out.
  std::vector<std::string> metadata;
};

/// Compares tensor by tensor. Throws data if a file is broken or is a checkpoint that does not
/// match its digest.
FileDifference diff_files(const std::string& first, const std::string& second);

}  // namespace pal
