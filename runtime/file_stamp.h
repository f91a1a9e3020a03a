#pragma once
#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>

namespace pal {

/// What tells that a file or folder is not what it was.
struct FileStamp {
  int64_t size = 0;  ///< bytes
  int64_t inode = 0;
  int64_t modified = 0;  ///< content, in ns since 1970
  int64_t changed = 0;   ///< content or attributes; cannot be set back by a program

  bool operator==(const FileStamp&) const = default;
};

/// The stamp of a file of which the system told `info`.
FileStamp stamp_of(const struct stat& info);
/// The stamp of the file or folder that a path leads to; none if it leads nowhere.
std::optional<FileStamp> stamp_of(const std::string& path);

/// The time now on the clock of the stamps, in ns since 1970.
int64_t stamp_clock();

/// Whether a change after `now` (of stamp_clock) must show in the stamp. File systems tick in up to
/// 2 s (FAT): what was modified less than that before it was read may change again under the same
/// stamp.
bool is_settled(const FileStamp& stamp, int64_t now);

}  // namespace pal
