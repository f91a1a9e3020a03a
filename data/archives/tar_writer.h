#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "runtime/file.h"

namespace pal {

/// Writes a tar archive of regular files, for `write_atomic`. The same members give the same bytes:
/// no times, no owners, mode 0644. Names are kept as ustar where they fit, else as GNU long names.
class TarWriter {
 public:
  /// The sink must outlive the writer.
  explicit TarWriter(const ByteSink& sink) : sink_(sink) {}

  /// Appends one file. Throws usage for a name that no reader of shards takes or content of 8 GiB
  /// or more.
  void add(const std::string& name, std::span<const uint8_t> content);
  /// Writes the two blocks that end an archive. Nothing may be added later.
  void finish();

 private:
  void write_padded(std::span<const uint8_t> bytes);

  const ByteSink& sink_;
};

}  // namespace pal
