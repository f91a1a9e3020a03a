#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pal {

/// An array of unsigned bytes, as the MNIST family stores images ([count, height, width]) and
/// labels ([count]).
struct IdxArray {
  std::vector<int64_t> shape;   ///< one to four positive extents
  std::vector<uint8_t> values;  ///< as many as the extents' product, last extent fastest
};

/// Largest array that is read: 4 GiB of values.
inline constexpr int64_t kMaxIdxValues = int64_t{1} << 32;

/// Reads IDX content, plain or as gzip (known by its first bytes): two zero bytes, type 08, the
/// number of extents, big-endian 32-bit extents, values. `name` stands in error messages. Never
/// allocates or inflates more than the header promises and the content can hold. Throws data as
/// NAME:OFFSET (the offset counts inflated bytes for gzip) for a wrong magic number, extents that
/// are 0 or whose product is too large, missing or surplus values, and broken gzip streams.
IdxArray parse_idx(std::span<const uint8_t> bytes, const std::string& name);

/// Reads an IDX file. Throws as `parse_idx`, and as `read_file` if it cannot be read.
IdxArray read_idx(const std::string& path);

}  // namespace pal
