#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "runtime/random_reader.h"

namespace pal {

/// What a reader of zip files is ready to accept.
struct ZipLimits {
  int64_t entries = 100'000;
  int64_t directory_bytes = 32 << 20;
  int64_t name_bytes = 1'000;
};

/// Whether a name is one that a container may hold: relative, not empty, at most `most` bytes, and
/// leading nowhere else.
bool is_zip_name(const std::string& name, int64_t most = ZipLimits().name_bytes);

/// One file in a zip container.
struct ZipEntry {
  std::string name;
  int64_t begin = 0;      ///< offset of its bytes in the container
  int64_t size = 0;       ///< how many there are
  uint32_t checksum = 0;  ///< their CRC-32
};

/// A zip container of stored (not compressed) entries, zip64 included, as PyTorch writes it. The
/// central directory rules; a local header must agree with it, but may leave its sizes and checksum
/// at 0 if flag bit 3 promises them after the data. Where every checksum is 0, nothing is compared:
/// PyTorch writes that if it is told not to compute any (`compute_crc32 = False`).
class ZipReader {
 public:
  /// Reads and checks the directory and all local headers. Throws data with `name:OFFSET: ...` for
  /// whatever does not fit: compressed or encrypted entries, names that are empty, absolute, climb
  /// by "..", or come twice, entries that overlap. `bytes` must outlive the reader.
  explicit ZipReader(const RandomReader& bytes, const ZipLimits& limits = {});

  /// All entries in the order of their bytes.
  const std::vector<ZipEntry>& entries() const { return entries_; }
  /// The entry of a name; null if there is none.
  const ZipEntry* find(const std::string& name) const;

  /// Whether any entry has a checksum, so that damage to its bytes would be noticed.
  bool has_checksums() const { return has_checksums_; }

  /// Reads a whole entry into `target`, which has its size. Throws data if the checksum is wrong.
  void read(const ZipEntry& entry, std::span<uint8_t> target) const;
  /// Compares an entry's bytes with its checksum, in little memory. Throws data.
  void verify(const ZipEntry& entry) const;

 private:
  void compare(const ZipEntry& entry, uint32_t checksum) const;

  const RandomReader& bytes_;
  std::vector<ZipEntry> entries_;
  bool has_checksums_ = false;
  std::map<std::string, size_t> index_;
};

}  // namespace pal
