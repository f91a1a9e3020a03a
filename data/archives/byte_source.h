#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace pal {

/// Bytes read front to back, from memory or from a gzip stream in memory.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills `target` as far as bytes are left; returns how many it wrote.
  virtual size_t read(std::span<uint8_t> target) = 0;
  /// An upper bound of the bytes that the source can deliver in all, known without reading it.
  virtual uint64_t most() const = 0;
};

/// Opens a source of the bytes themselves or, if they begin like a gzip file, of what they inflate
/// to. The bytes must outlive it. Reading throws data (NAME:OFFSET, offset in the compressed bytes)
/// if the stream is broken, cut, fails its checksum or is followed by something else.
std::unique_ptr<ByteSource> open_bytes(std::span<const uint8_t> bytes, const std::string& name);

}  // namespace pal
