#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/file.h"

namespace pal {

/// A file to be put into a zip container, whose bytes are made only then.
struct ZipPart {
  std::string name;
  int64_t size = 0;
  /// Delivers that many bytes, the same ones at every call.
  std::function<void(const ByteSink& sink)> feed;
};

/// From this size on a number stands in a zip64 field.
inline constexpr int64_t kZip64From = 0xffffffff;

/// Writes a zip container of stored entries by write_atomic, as ZipReader reads it: data begin at
/// multiples of 64, the time is 1980, so the same arguments give the same bytes. `feed` is called
/// twice, for the checksum and to write. Throws usage for two parts of one name, or a name that is
/// none for ZipReader, and environment if the file cannot be written. Sizes and places of at least
/// `zip64_from` are written as zip64.
void write_zip(const std::string& path, const std::vector<ZipPart>& parts,
               int64_t zip64_from = kZip64From);

}  // namespace pal
