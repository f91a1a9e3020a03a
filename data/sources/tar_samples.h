#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/sources/name_list.h"
#include "runtime/random_reader.h"

namespace pal {

/// Labelled pictures in tar archives: where they are, not what they hold.
struct TarSamples {
  NameList pictures;                  ///< member names
  std::vector<int64_t> begins;        ///< offset of each picture's content in its archive, in bytes
  std::vector<int64_t> sizes;         ///< of each picture, in bytes
  std::vector<int64_t> labels;        ///< of each picture
  int64_t members = 0;                ///< files of any kind in the archives
  std::vector<std::string> warnings;  ///< ARCHIVE: what is bent

  int64_t count() const { return pictures.size(); }
};

/// Reads the index of one archive in the convention of WebDataset: members KEY.jpg (or .jpeg, .png,
/// in any case) and KEY.cls, or KEY.json with a label, side by side, where KEY is the path up to
/// the first dot of the last part. Members of other types, and hidden ones, are left alone; so are
/// samples of which a part is a link to elsewhere, with a warning. Throws data as TarReader, and for
/// a picture without label, a label without picture, one that is no number, keys that come twice,
/// and no sample at all.
TarSamples parse_tar(const RandomReader& archive);

/// What an archive of labelled pictures holds, in numbers.
struct TarSummary {
  int64_t samples = 0;
  int64_t members = 0;
  int64_t classes = 0;  ///< largest label + 1
  std::vector<std::string> warnings;
};

/// Summarises an archive in memory; `name` stands in messages. Throws as `parse_tar`.
TarSummary inspect_tar(std::span<const uint8_t> bytes, const std::string& name);

}  // namespace pal
