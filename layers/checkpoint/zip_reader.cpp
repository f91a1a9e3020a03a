#include "layers/checkpoint/zip_reader.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "layers/checkpoint/safetensors_header.h"
#include "runtime/error.h"

// A container is  local header, data | local header, data | ... | directory | end record,  and in
// front of the end record there may be a zip64 end record and its locator, with wider numbers.
//
// Reading goes from the back: the end record, searched for since a comment follows it, tells where
// the directory lies, and the directory where the local headers do. Everything is said twice, and
// readers differ in whom they believe; here the two must agree. The directory must fill the place
// up to the end records, each local header must repeat its entry, and sorted by place no entry may
// reach into the next one or into the directory. So there is one way to read the file, and every
// number is compared with the file's size or a limit before memory is taken for it.
//
// In memory are the directory, while it is read, and the list of entries; data come when asked for.
// The offsets of fields below are those of PKWARE's APPNOTE.TXT: 4.3.7 local header, 4.3.12 entry
// of the directory, 4.3.14 to 4.3.16 end records, 4.5.3 zip64 field.

namespace pal {
namespace {

constexpr uint32_t kLocalMark = 0x04034b50;
constexpr uint32_t kCentralMark = 0x02014b50;
constexpr uint32_t kEndMark = 0x06054b50;
constexpr uint32_t kEnd64Mark = 0x06064b50;
constexpr uint32_t kLocator64Mark = 0x07064b50;
constexpr int64_t kLocalBytes = 30;
constexpr int64_t kCentralBytes = 46;
constexpr int64_t kEndBytes = 22;
constexpr int64_t kEnd64Bytes = 56;
constexpr int64_t kLocator64Bytes = 20;
constexpr int64_t kMostComment = 0xffff;
/// A 32-bit field whose value stands in the zip64 extra field.
constexpr uint32_t kSee64 = 0xffffffff;
constexpr uint16_t kZip64Id = 1;
constexpr uint16_t kEncrypted = 1U << 0 | 1U << 6 | 1U << 13;
constexpr uint16_t kSizesFollow = 1U << 3;

template <typename T>
T little_endian(std::span<const uint8_t> bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::vector<uint8_t> bytes_at(const RandomReader& bytes, int64_t offset, int64_t count) {
  std::vector<uint8_t> out(static_cast<size_t>(count));
  bytes.read(offset, out);
  return out;
}

/// Where the central directory lies.
struct Directory {
  uint64_t entries = 0;
  int64_t begin = 0;
  int64_t end = 0;
};

/// The two sizes and the place of an entry, which a zip64 extra field may widen.
struct Extent {
  uint64_t size = 0;
  uint64_t stored_size = 0;
  uint64_t local_offset = 0;
};

class Parser {
 public:
  Parser(const RandomReader& bytes, const ZipLimits& limits) : bytes_(bytes), limits_(limits) {}

  std::vector<ZipEntry> parse() {
    const Directory directory = find_directory();
    std::vector<uint8_t> central =
        bytes_at(bytes_, directory.begin, directory.end - directory.begin);
    size_t at = 0;
    for (uint64_t i = 0; i < directory.entries; ++i)
      at = read_central(central, at, directory.begin);
    if (at != central.size())
      refuse(directory.begin + static_cast<int64_t>(at),
             "{} bytes of the directory belong to no entry", central.size() - at);
    check_overlaps(directory.begin);
    std::vector<ZipEntry> entries;
    for (Found& found : found_) entries.push_back(std::move(found.entry));
    return entries;
  }

 private:
  /// An entry and where its local header begins.
  struct Found {
    ZipEntry entry;
    int64_t header = 0;
  };

  template <typename... Args>
  [[noreturn]] void refuse(int64_t offset, fmt::format_string<Args...> format, Args&&... args) {
    fail(ErrorKind::data, "{}:{}: zip: {}", bytes_.name(), offset,
         fmt::format(format, std::forward<Args>(args)...));
  }

  /// The end record: the last one whose comment reaches exactly to the end of the file.
  int64_t find_end(std::vector<uint8_t>& record) {
    const int64_t tail_bytes = std::min(bytes_.size(), kEndBytes + kMostComment);
    const auto tail = bytes_at(bytes_, bytes_.size() - tail_bytes, tail_bytes);
    for (int64_t at = tail_bytes - kEndBytes; at >= 0; --at) {
      const auto place = static_cast<size_t>(at);
      if (little_endian<uint32_t>(tail, place) != kEndMark) continue;
      if (little_endian<uint16_t>(tail, place + 20) != tail_bytes - at - kEndBytes) continue;
      record.assign(tail.begin() + at, tail.begin() + at + kEndBytes);
      return bytes_.size() - tail_bytes + at;
    }
    refuse(bytes_.size(), "no end-of-directory record; the file is cut");
  }

  Directory find_directory() {
    std::vector<uint8_t> end;
    const int64_t end_offset = find_end(end);
    if (little_endian<uint16_t>(end, 4) != 0 || little_endian<uint16_t>(end, 6) != 0)
      refuse(end_offset, "a container of several disks");
    Directory directory;
    directory.entries = little_endian<uint16_t>(end, 10);
    uint64_t size = little_endian<uint32_t>(end, 12);
    uint64_t begin = little_endian<uint32_t>(end, 16);
    directory.end = end_offset;
    const bool wide = directory.entries == 0xffff || size == kSee64 || begin == kSee64;
    if (const int64_t locator = end_offset - kLocator64Bytes; locator >= 0) {
      const auto text = bytes_at(bytes_, locator, kLocator64Bytes);
      if (little_endian<uint32_t>(text, 0) == kLocator64Mark) {
        const auto at = little_endian<uint64_t>(text, 8);
        if (at > static_cast<uint64_t>(locator) || locator - static_cast<int64_t>(at) < kEnd64Bytes)
          refuse(locator, "no room for a zip64 record at {}", at);
        directory.end = static_cast<int64_t>(at);
        const auto record = bytes_at(bytes_, directory.end, kEnd64Bytes);
        if (little_endian<uint32_t>(record, 0) != kEnd64Mark)
          refuse(directory.end, "expected a zip64 end record");
        const auto entries = little_endian<uint64_t>(record, 32);
        const auto size64 = little_endian<uint64_t>(record, 40);
        const auto begin64 = little_endian<uint64_t>(record, 48);
        if ((directory.entries != 0xffff && directory.entries != entries) ||
            (size != kSee64 && size != size64) || (begin != kSee64 && begin != begin64))
          refuse(directory.end, "the two end records disagree");
        directory.entries = entries;
        size = size64;
        begin = begin64;
      } else if (wide) {
        refuse(end_offset, "the zip64 end record is missing");
      }
    }
    const auto end_of_directory = static_cast<uint64_t>(directory.end);
    if (begin > end_of_directory || size != end_of_directory - begin)
      refuse(end_offset, "a directory of {} bytes at {} does not end at {}", size, begin,
             directory.end);
    directory.begin = static_cast<int64_t>(begin);
    if (size > static_cast<uint64_t>(limits_.directory_bytes))
      refuse(directory.begin, "a directory of {} bytes, expected at most {}", size,
             limits_.directory_bytes);
    if (directory.entries > static_cast<uint64_t>(limits_.entries))
      refuse(end_offset, "{} entries, expected at most {}", directory.entries, limits_.entries);
    return directory;
  }

  /// Widens fields from the zip64 extra field, which holds those that say so, in order.
  void widen(std::span<const uint8_t> extra, int64_t offset, bool with_place, Extent& extent) {
    std::vector<uint64_t*> wanted;
    if (extent.size == kSee64) wanted.push_back(&extent.size);
    if (extent.stored_size == kSee64) wanted.push_back(&extent.stored_size);
    if (with_place && extent.local_offset == kSee64) wanted.push_back(&extent.local_offset);
    if (wanted.empty()) return;
    size_t at = 0;
    while (extra.size() - at >= 4) {
      const auto id = little_endian<uint16_t>(extra, at);
      const size_t length = little_endian<uint16_t>(extra, at + 2);
      at += 4;
      if (length > extra.size() - at) break;
      if (id == kZip64Id) {
        if (length < 8 * wanted.size()) break;
        for (size_t i = 0; i < wanted.size(); ++i)
          *wanted[i] = little_endian<uint64_t>(extra, at + 8 * i);
        return;
      }
      at += length;
    }
    refuse(offset, "an entry's zip64 field is missing or too short");
  }

  void check_name(const std::string& name, int64_t offset) {
    if (name.empty() || static_cast<int64_t>(name.size()) > limits_.name_bytes)
      refuse(offset, "a name of {} bytes, expected 1 to {}", name.size(), limits_.name_bytes);
    if (!is_zip_name(name, limits_.name_bytes))
      refuse(offset, "name {} is not a plain relative one", printable(name));
  }

  size_t read_central(std::span<const uint8_t> central, size_t at, int64_t directory) {
    const int64_t offset = directory + static_cast<int64_t>(at);
    if (central.size() - at < static_cast<size_t>(kCentralBytes) ||
        little_endian<uint32_t>(central, at) != kCentralMark)
      refuse(offset, "expected an entry of the directory");
    const auto flags = little_endian<uint16_t>(central, at + 8);
    const auto method = little_endian<uint16_t>(central, at + 10);
    const size_t name_bytes = little_endian<uint16_t>(central, at + 28);
    const size_t extra_bytes = little_endian<uint16_t>(central, at + 30);
    const size_t comment_bytes = little_endian<uint16_t>(central, at + 32);
    const size_t text = at + static_cast<size_t>(kCentralBytes);
    if (central.size() - text < name_bytes + extra_bytes + comment_bytes)
      refuse(offset, "an entry of the directory is cut");
    Found found;
    found.entry.name.assign(central.begin() + static_cast<std::ptrdiff_t>(text),
                            central.begin() + static_cast<std::ptrdiff_t>(text + name_bytes));
    check_name(found.entry.name, offset);
    const std::string shown = printable(found.entry.name);
    if ((flags & kEncrypted) != 0) refuse(offset, "entry {} is encrypted", shown);
    if (method != 0)
      refuse(offset, "entry {} is compressed (method {}); PyTorch stores its entries", shown,
             method);
    found.entry.checksum = little_endian<uint32_t>(central, at + 16);
    Extent extent{little_endian<uint32_t>(central, at + 24),
                  little_endian<uint32_t>(central, at + 20),
                  little_endian<uint32_t>(central, at + 42)};
    widen(central.subspan(text + name_bytes, extra_bytes), offset, true, extent);
    if (extent.size != extent.stored_size)
      refuse(offset, "stored entry {} has two sizes, {} and {}", shown, extent.size,
             extent.stored_size);
    if (extent.local_offset > static_cast<uint64_t>(directory) ||
        extent.size > static_cast<uint64_t>(directory))
      refuse(offset, "entry {}: {} bytes at {} do not lie before the directory", shown, extent.size,
             extent.local_offset);
    found.header = static_cast<int64_t>(extent.local_offset);
    found.entry.size = static_cast<int64_t>(extent.size);
    read_local(found, flags, directory);
    found_.push_back(std::move(found));
    return text + name_bytes + extra_bytes + comment_bytes;
  }

  void read_local(Found& found, uint16_t central_flags, int64_t directory) {
    ZipEntry& entry = found.entry;
    const auto fixed = bytes_at(bytes_, found.header, kLocalBytes);
    if (little_endian<uint32_t>(fixed, 0) != kLocalMark)
      refuse(found.header, "expected the local header of entry {}", printable(entry.name));
    const auto flags = little_endian<uint16_t>(fixed, 6);
    const int64_t name_bytes = little_endian<uint16_t>(fixed, 26);
    const int64_t extra_bytes = little_endian<uint16_t>(fixed, 28);
    const auto text = bytes_at(bytes_, found.header + kLocalBytes, name_bytes + extra_bytes);
    const std::span all(text);
    if (!std::ranges::equal(all.first(static_cast<size_t>(name_bytes)), entry.name,
                            [](uint8_t a, char b) { return a == static_cast<uint8_t>(b); }))
      refuse(found.header, "the local header of entry {} has another name", printable(entry.name));
    if (((flags ^ central_flags) & (kEncrypted | kSizesFollow)) != 0 ||
        little_endian<uint16_t>(fixed, 8) != 0)
      refuse(found.header, "the local header of entry {} has other flags", printable(entry.name));
    check_local_sizes(found, flags, fixed, all.subspan(static_cast<size_t>(name_bytes)));
    entry.begin = found.header + kLocalBytes + name_bytes + extra_bytes;
    if (entry.begin > directory || entry.size > directory - entry.begin)
      refuse(found.header, "entry {} of {} bytes reaches into the directory", printable(entry.name),
             entry.size);
  }

  void check_local_sizes(const Found& found, uint16_t flags, std::span<const uint8_t> fixed,
                         std::span<const uint8_t> extra) {
    const auto checksum = little_endian<uint32_t>(fixed, 14);
    Extent extent{little_endian<uint32_t>(fixed, 22), little_endian<uint32_t>(fixed, 18), 0};
    widen(extra, found.header, false, extent);
    const auto size = static_cast<uint64_t>(found.entry.size);
    // A streaming writer knows them only afterwards.
    const bool may_be_zero = (flags & kSizesFollow) != 0;
    const auto fits = [&](uint64_t local, uint64_t central) {
      return local == central || (may_be_zero && local == 0);
    };
    if (!fits(extent.size, size) || !fits(extent.stored_size, size) ||
        !fits(checksum, found.entry.checksum))
      refuse(found.header, "the local header of entry {} has another size or checksum",
             printable(found.entry.name));
  }

  void check_overlaps(int64_t directory) {
    std::ranges::sort(found_, {}, &Found::header);
    for (size_t i = 0; i < found_.size(); ++i) {
      const ZipEntry& entry = found_[i].entry;
      const int64_t limit = i + 1 < found_.size() ? found_[i + 1].header : directory;
      if (entry.begin + entry.size > limit)
        refuse(found_[i].header, "entry {} overlaps the next", printable(entry.name));
    }
  }

  const RandomReader& bytes_;
  const ZipLimits& limits_;
  std::vector<Found> found_;
};

uint32_t continue_checksum(uint32_t checksum, std::span<const uint8_t> bytes) {
  return static_cast<uint32_t>(::crc32_z(checksum, bytes.data(), bytes.size()));
}

}  // namespace

bool is_zip_name(const std::string& name, int64_t most) {
  return !name.empty() && static_cast<int64_t>(name.size()) <= most && name.front() != '/' &&
         name.find('\\') == std::string::npos && name.find('\0') == std::string::npos &&
         ("/" + name + "/").find("/../") == std::string::npos;
}

ZipReader::ZipReader(const RandomReader& bytes, const ZipLimits& limits)
    : bytes_(bytes), entries_(Parser(bytes, limits).parse()) {
  has_checksums_ =
      std::ranges::any_of(entries_, [](const ZipEntry& entry) { return entry.checksum != 0; });
  for (size_t i = 0; i < entries_.size(); ++i)
    if (!index_.emplace(entries_[i].name, i).second)
      fail(ErrorKind::data, "{}:{}: zip: entry {} comes twice", bytes.name(), entries_[i].begin,
           printable(entries_[i].name));
}

const ZipEntry* ZipReader::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

void ZipReader::read(const ZipEntry& entry, std::span<uint8_t> target) const {
  bytes_.read(entry.begin, target);
  if (has_checksums_) compare(entry, continue_checksum(0, target));
}

void ZipReader::verify(const ZipEntry& entry) const {
  if (!has_checksums_) return;
  constexpr int64_t kPiece = 1 << 20;
  std::vector<uint8_t> piece(static_cast<size_t>(std::min(entry.size, kPiece)));
  uint32_t checksum = 0;
  for (int64_t at = 0; at < entry.size; at += kPiece) {
    const auto part =
        std::span(piece).first(static_cast<size_t>(std::min(entry.size - at, kPiece)));
    bytes_.read(entry.begin + at, part);
    checksum = continue_checksum(checksum, part);
  }
  compare(entry, checksum);
}

void ZipReader::compare(const ZipEntry& entry, uint32_t checksum) const {
  if (checksum != entry.checksum)
    fail(ErrorKind::data,
         "{}:{}: zip: entry {} has checksum {:08x}, expected {:08x}; use another copy",
         bytes_.name(), entry.begin, printable(entry.name), checksum, entry.checksum);
}

}  // namespace pal
