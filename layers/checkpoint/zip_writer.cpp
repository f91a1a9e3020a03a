#include "layers/checkpoint/zip_writer.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "layers/checkpoint/safetensors_header.h"
#include "layers/checkpoint/zip_reader.h"
#include "runtime/error.h"

// The container as zip_reader.cpp describes it, with sizes and checksums in front of the data. What
// is wide, is so in all fields of its entry; numbers of sections are those of APPNOTE.TXT there.

namespace pal {
namespace {

constexpr uint32_t kNarrowMark = 0xffffffff;
constexpr uint16_t kPlainVersion = 20;
constexpr uint16_t kWideVersion = 45;
/// 1 January 1980, the first day that the format knows.
constexpr uint16_t kFirstDay = 1 << 5 | 1;
constexpr int64_t kDataAlignment = 64;
/// Padding of local headers, as PyTorch names it.
constexpr uint16_t kPaddingId = 'F' | 'B' << 8;
constexpr size_t kFieldHead = 4;

/// Bytes of numbers, little-endian.
class Record {
 public:
  template <typename T>
  Record& add(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Record& add_text(const std::string& text) {
    text_ += text;
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// A part and what its headers say of it.
struct Placed {
  const ZipPart& part;
  uint32_t checksum = 0;
  int64_t header = 0;  // offset of the local header
  bool wide = false;
};

uint32_t checksum_of(const ZipPart& part) {
  uLong sum = ::crc32(0, nullptr, 0);
  int64_t bytes = 0;
  part.feed([&](std::span<const uint8_t> piece) {
    sum = ::crc32_z(sum, piece.data(), piece.size());
    bytes += static_cast<int64_t>(piece.size());
  });
  expect(bytes == part.size, "write_zip: {}: expected {} bytes, got {}", printable(part.name),
         part.size, bytes);
  return static_cast<uint32_t>(sum);
}

uint32_t narrow(int64_t value, bool wide) {
  return wide ? kNarrowMark : static_cast<uint32_t>(value);
}

/// What both headers of an entry say, from the version to the length of the name.
void add_common(Record& record, const Placed& placed) {
  constexpr uint16_t kUtf8Name = 1 << 11;
  record.add(placed.wide ? kWideVersion : kPlainVersion)
      .add(kUtf8Name)
      .add(uint16_t{0})
      .add(uint16_t{0})
      .add(kFirstDay)
      .add(placed.checksum)
      .add(narrow(placed.part.size, placed.wide))
      .add(narrow(placed.part.size, placed.wide))
      .add(static_cast<uint16_t>(placed.part.name.size()));
}

std::string local_header(const Placed& placed) {
  Record extra;
  if (placed.wide)
    extra.add(uint16_t{1}).add(uint16_t{16}).add(placed.part.size).add(placed.part.size);
  Record record;
  record.add_text("PK\x03\x04");
  add_common(record, placed);
  const auto data = placed.header + static_cast<int64_t>(record.text().size() + sizeof(uint16_t) +
                                                         placed.part.name.size() +
                                                         extra.text().size() + kFieldHead);
  const auto padding =
      static_cast<uint16_t>((kDataAlignment - data % kDataAlignment) % kDataAlignment);
  extra.add(kPaddingId).add(padding).add_text(std::string(padding, 'Z'));
  record.add(static_cast<uint16_t>(extra.text().size()));
  return record.text() + placed.part.name + extra.text();
}

std::string central_header(const Placed& placed) {
  Record extra;
  if (placed.wide)
    extra.add(uint16_t{1})
        .add(uint16_t{24})
        .add(placed.part.size)
        .add(placed.part.size)
        .add(placed.header);
  Record record;
  record.add_text("PK\x01\x02").add(placed.wide ? kWideVersion : kPlainVersion);
  add_common(record, placed);
  record.add(static_cast<uint16_t>(extra.text().size()))
      .add_text(std::string(10, '\0'))
      .add(narrow(placed.header, placed.wide));
  return record.text() + placed.part.name + extra.text();
}

std::string end_records(int64_t entries, int64_t begin, int64_t size, int64_t zip64_from) {
  constexpr int64_t kMostEntries = 0xffff;
  const bool wide = entries >= kMostEntries || begin >= zip64_from || size >= zip64_from;
  Record record;
  if (wide) {
    record.add_text("PK\x06\x06").add(uint64_t{44}).add(kWideVersion).add(kWideVersion);
    record.add(uint32_t{0}).add(uint32_t{0}).add(entries).add(entries).add(size).add(begin);
    record.add_text("PK\x06\x07").add(uint32_t{0}).add(begin + size).add(uint32_t{1});
  }
  const auto count = static_cast<uint16_t>(wide ? kMostEntries : entries);
  record.add_text("PK\x05\x06").add(uint32_t{0}).add(count).add(count);
  record.add(narrow(size, wide)).add(narrow(begin, wide)).add(uint16_t{0});
  return record.text();
}

void check_names(const std::vector<ZipPart>& parts) {
  std::set<std::string> names;
  for (const ZipPart& part : parts) {
    expect(is_zip_name(part.name), "write_zip: name {} is not a plain relative one",
           printable(part.name));
    expect(names.insert(part.name).second, "write_zip: name {} comes twice", printable(part.name));
  }
}

}  // namespace

void write_zip(const std::string& path, const std::vector<ZipPart>& parts, int64_t zip64_from) {
  check_names(parts);
  std::vector<Placed> placed;
  placed.reserve(parts.size());
  int64_t offset = 0;
  for (const ZipPart& part : parts) {
    Placed& each = placed.emplace_back(Placed{part, checksum_of(part), offset, false});
    each.wide = part.size >= zip64_from || offset >= zip64_from;
    offset += static_cast<int64_t>(local_header(each).size()) + part.size;
  }
  write_atomic(path, [&](const ByteSink& sink) {
    const auto put = [&](const std::string& text) {
      sink({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    };
    for (const Placed& each : placed) {
      put(local_header(each));
      each.part.feed(sink);
    }
    std::string directory;
    for (const Placed& each : placed) directory += central_header(each);
    put(directory);
    put(end_records(static_cast<int64_t>(parts.size()), offset,
                    static_cast<int64_t>(directory.size()), zip64_from));
  });
}

}  // namespace pal
