// A tar archive is a row of 512-byte blocks: a header, the content filled up with zeros, the next
// header, and two blocks of zeros at the end. Headers of type L (GNU) and x (pax) come before a
// member's own and hold a name or size that does not fit there: extra_ keeps it until then. view()
// reads through one small window, so contents are skipped unless they are asked for. A reader that
// believed sizes could be sent anywhere: each is checked against the archive's before it is used.
#include "data/archives/tar_reader.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "runtime/text.h"

namespace pal {
namespace {

constexpr int64_t kWindow = 4 * kTarBlock;
constexpr int64_t kMostPax = 1 << 16;
/// Zeros after the end of the archive: writers pad to 10 kB, tapes to more.
constexpr int64_t kMostPadding = 1 << 20;
/// What 11 octal digits cannot say; only then may a pax size differ from the header's.
constexpr int64_t kOctalLimit = int64_t{1} << 33;

bool is_set(uint8_t byte) { return byte != 0; }

std::string_view until_zero(std::string_view text) { return text.substr(0, text.find('\0')); }

/// A whole text as a number in base 8 or 10; -1 if it is none or does not fit.
int64_t whole_number(std::string_view text, int base) {
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size() ? value : -1;
}

/// GNU's binary numbers: a set first bit, then a big-endian one.
int64_t binary_number(std::string_view text) {
  uint64_t value = static_cast<uint8_t>(text[0]) & 0x7f;
  for (const char c : text.substr(1)) {
    if (value >> 55 != 0) return -1;
    value = value << 8 | static_cast<uint8_t>(c);
  }
  return static_cast<int64_t>(value);
}

std::string kind_of(char type) {
  switch (type) {
    case '1':
    case '2':
      return "a link";
    case '3':
    case '4':
      return "a device";
    case '6':
      return "a FIFO";
    case 'S':
      return "a sparse file";
    default:
      return fmt::format("a member of type {}", one_line({&type, 1}));
  }
}

}  // namespace

TarReader::TarReader(const RandomReader& archive) : archive_(archive) {
  if (archive.size() >= 2) {
    const auto magic = view(0, 2);
    if (magic[0] == 0x1f && magic[1] == 0x8b)
      refuse(0, "compressed with gzip, which allows no jumps; unpack it with gunzip");
  }
  if (archive.size() < kTarBlock)
    refuse(0, "{} bytes, too short for a tar archive", archive.size());
}

std::span<const uint8_t> TarReader::view(int64_t offset, int64_t size) {
  const int64_t in_window = offset - window_begin_;
  if (in_window < 0 || in_window + size > static_cast<int64_t>(window_.size())) {
    const int64_t wanted = std::max(size, kWindow);
    window_.resize(static_cast<size_t>(std::min(wanted, archive_.size() - offset)));
    window_begin_ = offset;
    archive_.read(offset, window_);
  }
  return std::span<const uint8_t>(window_).subspan(static_cast<size_t>(offset - window_begin_),
                                                   static_cast<size_t>(size));
}

std::span<const uint8_t> TarReader::content(const TarMember& member) {
  return view(member.begin, std::min(member.size, kMostContent));
}

/// False at the end of the archive.
bool TarReader::read_header() {
  const int64_t left = archive_.size() - at_;
  if (left <= 0) {
    warnings_.emplace_back("no end-of-archive blocks; was it cut between two members?");
    return false;
  }
  if (left < kTarBlock) refuse(at_, "cut: {} bytes left, expected a header of 512", left);
  std::ranges::copy(view(at_, kTarBlock), header_.begin());
  header_at_ = at_;
  if (std::ranges::none_of(header_, is_set)) {
    check_end();
    return false;
  }
  if (const int64_t noted = number(tar_field::kChecksum, "checksum");
      noted != tar_checksum(header_))
    refuse(at_, "no tar header: the checksum is {}, the bytes add up to {}", noted,
           tar_checksum(header_));
  const auto magic = tar_text(header_, tar_field::kMagic);
  if (magic != kPosixMagic && magic != kGnuMagic) refuse(at_, "neither ustar, pax nor GNU tar");
  at_ += kTarBlock;
  return true;
}

/// At a zero block: nothing but zeros may follow.
void TarReader::check_end() {
  const int64_t left = archive_.size() - at_ - kTarBlock;
  if (left == 0) warnings_.emplace_back("one end-of-archive block, expected two");
  if (left > kMostPadding) refuse(at_, "{} bytes after the end of the archive", left);
  for (int64_t from = archive_.size() - left; from < archive_.size(); from += kWindow) {
    const auto bytes = view(from, std::min(kWindow, archive_.size() - from));
    if (const auto found = std::ranges::find_if(bytes, is_set); found != bytes.end())
      refuse(from + (found - bytes.begin()),
             "the archive ended at {}, but more follows; are these two archives in one?", at_);
  }
  at_ = archive_.size();
}

int64_t TarReader::number(TarField field, const char* what) const {
  std::string_view text = tar_text(header_, field);
  int64_t value = -1;
  if (static_cast<uint8_t>(text[0]) == 0x80) {
    value = binary_number(text);
  } else {
    text = until_zero(text);
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    text = text.substr(0, text.find_last_not_of(' ') + 1);
    value = whole_number(text, 8);
  }
  if (value < 0)
    refuse(header_at_ + static_cast<int64_t>(field.begin), "the {} is not a number that fits",
           what);
  return value;
}

std::string TarReader::name_in_header() const {
  std::string name(until_zero(tar_text(header_, tar_field::kName)));
  if (tar_text(header_, tar_field::kMagic) == kGnuMagic) return name;
  const auto prefix = until_zero(tar_text(header_, tar_field::kPrefix));
  return prefix.empty() ? name : std::string(prefix) + "/" + name;
}

/// Checks that the content lies in the archive and moves behind it; returns where it begins.
int64_t TarReader::skip_content(int64_t size) {
  const int64_t begin = at_;
  const int64_t left = archive_.size() - begin;
  if (size > left)
    refuse(header_at_, "cut: {} has {} bytes, but {} are left",
           one_line(until_zero(tar_text(header_, tar_field::kName))), size, left);
  const int64_t odd = size % kTarBlock;
  at_ = begin + size + (odd == 0 ? 0 : kTarBlock - odd);
  return begin;
}

bool TarReader::next(TarMember& member) {
  extra_ = {};
  while (read_header()) {
    const char type = static_cast<char>(header_[tar_field::kType.begin]);
    const int64_t size = number(tar_field::kSize, "size");
    switch (type) {
      case 'L':
        read_long_name(size);
        break;
      case 'K':
        // The name a link leads to; the link itself is refused.
        skip_content(size);
        break;
      case 'x':
      case 'g':
        read_pax(size, type == 'g');
        break;
      case '5':
        if (size != 0) refuse(header_at_, "a folder with {} bytes of content", size);
        extra_ = {};
        break;
      case '0':
      case '7':
      case '\0':
        finish_member(member, size);
        return true;
      default:
        refuse(header_at_, "{} is {}, expected files and folders only",
               one_line(extra_.path.value_or(extra_.gnu_name.value_or(name_in_header()))),
               kind_of(type));
    }
  }
  if (extra_.any) refuse(header_at_, "extra headers without a member");
  return false;
}

void TarReader::read_long_name(int64_t size) {
  if (extra_.gnu_name) refuse(header_at_, "two long names for one member");
  if (size > static_cast<int64_t>(kMaxTarName) + 1)
    refuse(header_at_, "a name of {} bytes, expected at most {}", size, kMaxTarName);
  const auto bytes = view(skip_content(size), size);
  extra_.gnu_name = until_zero({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  extra_.any = true;
}

void TarReader::read_pax(int64_t size, bool global) {
  if (size > kMostPax)
    refuse(header_at_, "pax records of {} bytes, expected at most {}", size, kMostPax);
  const int64_t begin = skip_content(size);
  const auto bytes = view(begin, size);
  const std::string records(bytes.begin(), bytes.end());
  std::string_view rest = records;
  while (!rest.empty()) {
    const int64_t offset = begin + size - static_cast<int64_t>(rest.size());
    const size_t space = rest.find(' ');
    const int64_t length = whole_number(rest.substr(0, std::min(space, rest.size())), 10);
    if (space == std::string_view::npos || length <= static_cast<int64_t>(space) ||
        length > static_cast<int64_t>(rest.size()))
      refuse(offset, "a pax record whose length does not fit");
    const std::string_view record = rest.substr(0, static_cast<size_t>(length));
    const size_t equals = record.find('=', space);
    if (equals == std::string_view::npos || record.back() != '\n')
      refuse(offset, "a pax record that is not LENGTH KEY=VALUE and a line's end");
    take_record(record.substr(space + 1, equals - space - 1),
                record.substr(equals + 1, record.size() - equals - 2), global);
    rest.remove_prefix(record.size());
  }
  extra_.any = extra_.any || !global;
}

void TarReader::take_record(std::string_view key, std::string_view value, bool global) {
  if (key.starts_with("GNU.sparse")) refuse(header_at_, "a sparse file, expected whole files only");
  if (key != "path" && key != "size") return;
  if (global) refuse(header_at_, "a pax {} for all members", key);
  if (key == "path" ? extra_.path.has_value() : extra_.size.has_value())
    refuse(header_at_, "two pax records for {}", key);
  if (key == "path") {
    extra_.path = value;
    return;
  }
  extra_.size = whole_number(value, 10);
  if (*extra_.size < 0) refuse(header_at_, "the pax size is not a number that fits");
}

void TarReader::finish_member(TarMember& member, int64_t size) {
  if (extra_.size && *extra_.size != size) {
    if (*extra_.size < kOctalLimit)
      refuse(header_at_, "the pax size is {}, the header's {}", *extra_.size, size);
    size = *extra_.size;
  }
  member.name = extra_.path.value_or(extra_.gnu_name.value_or(name_in_header()));
  while (member.name.starts_with("./")) member.name.erase(0, 2);
  if (const std::string fault = tar_name_fault(member.name); !fault.empty())
    refuse(header_at_, "{}: {}", one_line(member.name.substr(0, 200)), fault);
  member.header = header_at_;
  member.size = size;
  member.begin = skip_content(size);
}

}  // namespace pal
