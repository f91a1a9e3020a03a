#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/sources/tar_samples.h"
#include "runtime/file_stamp.h"

namespace pal {

/// The samples of several archives, one after another.
struct ShardIndex {
  std::vector<FileStamp> stamps;  ///< each archive's, when it was indexed
  std::vector<int64_t> firsts;    ///< each archive's first sample
  TarSamples samples;
};

/// Indexes archives, several at a time, or takes what an earlier call kept in `cache_folder` if no
/// archive changed since. Throws data as `parse_tar` for the first one that is broken or missing,
/// environment for other failures.
ShardIndex open_shards(const std::vector<std::string>& paths, const std::string& cache_folder);

}  // namespace pal
