#include "data/archives/idx.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "data/archives/byte_source.h"
#include "runtime/error.h"
#include "runtime/file.h"

namespace pal {
namespace {

constexpr size_t kMaxExtents = 4;
constexpr uint8_t kUnsignedBytes = 0x08;
/// First allocation for values; doubles as they arrive, so that a lying header costs little.
constexpr int64_t kFirstPiece = 1 << 20;

uint32_t big_endian(const uint8_t* bytes) {
  return static_cast<uint32_t>(bytes[0]) << 24 | static_cast<uint32_t>(bytes[1]) << 16 |
         static_cast<uint32_t>(bytes[2]) << 8 | static_cast<uint32_t>(bytes[3]);
}

std::vector<int64_t> read_shape(ByteSource& source, const std::string& name) {
  std::array<uint8_t, 4> magic{};
  const size_t got = source.read(magic);
  if (got < magic.size())
    fail(ErrorKind::data, "{}:{}: too short for an IDX file; expected a header of 4 bytes", name,
         got);
  const size_t extents = magic[3];
  if (magic[0] != 0 || magic[1] != 0 || magic[2] != kUnsignedBytes || extents < 1 ||
      extents > kMaxExtents)
    fail(ErrorKind::data,
         "{}:0: not an IDX file of bytes: it begins with {:02x} {:02x} {:02x} {:02x}, expected "
         "00 00 08 and 1 to {} extents",
         name, magic[0], magic[1], magic[2], magic[3], kMaxExtents);
  std::array<uint8_t, 4 * kMaxExtents> bytes{};
  const size_t wanted = 4 * extents;
  const size_t have = source.read(std::span(bytes).first(wanted));
  if (have < wanted)
    fail(ErrorKind::data, "{}:{}: the file ends inside its {} extents", name, 4 + have, extents);
  std::vector<int64_t> shape;
  for (size_t axis = 0; axis < extents; ++axis) shape.push_back(big_endian(&bytes[4 * axis]));
  return shape;
}

/// Product of the extents, refused at once if it is 0 or beyond the limit.
int64_t count_values(const std::vector<int64_t>& shape, const std::string& name) {
  int64_t count = 1;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    const size_t offset = 4 + 4 * axis;
    if (shape[axis] == 0)
      fail(ErrorKind::data, "{}:{}: extent {} of {} is 0", name, offset, axis, shape);
    if (shape[axis] > kMaxIdxValues / count)
      fail(ErrorKind::data, "{}:{}: extents {} promise more than {} values", name, offset, shape,
           kMaxIdxValues);
    count *= shape[axis];
  }
  return count;
}

}  // namespace

IdxArray parse_idx(std::span<const uint8_t> bytes, const std::string& name) {
  const auto source = open_bytes(bytes, name);
  IdxArray array;
  array.shape = read_shape(*source, name);
  const int64_t count = count_values(array.shape, name);
  const size_t header = 4 + 4 * array.shape.size();
  if (header + static_cast<uint64_t>(count) > source->most())
    fail(ErrorKind::data, "{}:{}: extents {} promise {} values, but {} bytes hold at most {}", name,
         header, array.shape, count, bytes.size(), source->most() - header);
  int64_t filled = 0;
  while (filled < count) {
    const int64_t next = std::min(count, std::max(kFirstPiece, 2 * filled));
    array.values.resize(static_cast<size_t>(next));
    const size_t got = source->read(std::span(array.values).subspan(static_cast<size_t>(filled)));
    if (got < static_cast<size_t>(next - filled))
      fail(ErrorKind::data, "{}:{}: extents {} promise {} values, found {}", name,
           header + static_cast<size_t>(filled) + got, array.shape, count,
           static_cast<size_t>(filled) + got);
    filled = next;
  }
  std::array<uint8_t, 1> surplus{};
  if (source->read(surplus) != 0)
    fail(ErrorKind::data, "{}:{}: more bytes follow the {} values of {}", name,
         header + static_cast<size_t>(count), count, array.shape);
  return array;
}

IdxArray read_idx(const std::string& path) {
  return parse_idx(read_file(path, kMaxIdxValues + 64), path);
}

}  // namespace pal
