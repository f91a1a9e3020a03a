// A tar archive is a row of 512-byte blocks: a header, the content filled up with zeros, the next
// header, and two blocks of zeros at the end. Headers of type L and K (GNU) and x (pax) come before a
// member's own and hold a name, link or size that does not fit there: extra_ keeps it until then.
// view() reads through one small window, so contents are skipped unless they are asked for. A reader
// that believed sizes could be sent anywhere: each is checked against the archive's before it is
// used. Files are remembered by name only from the first hard link on: then a second reader goes over
// what lies before it.
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

/// A whole text as a decimal number; -1 if it is none or does not fit.
int64_t whole_number(std::string_view text) {
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : -1;
}

std::string kind_of(char type) {
  if (type == 'S') return "a sparse file";
  return fmt::format("a member of type {}", one_line({&type, 1}));
}

std::string_view without_dot(std::string_view name) {
  while (name.starts_with("./")) name.remove_prefix(2);
  return name;
}

}  // namespace

TarReader::TarReader(const RandomReader& archive) : TarReader(archive, archive.size()) {
  if (archive.size() >= 2) {
    const auto magic = view(0, 2);
    if (magic[0] == 0x1f && magic[1] == 0x8b)
      refuse(0, "compressed with gzip, which allows no jumps; unpack it with gunzip");
  }
  if (archive.size() < kTarBlock)
    refuse(0, "{} bytes, too short for a tar archive", archive.size());
}

TarReader::TarReader(const RandomReader& archive, int64_t end) : archive_(archive), end_(end) {}

std::span<const uint8_t> TarReader::view(int64_t offset, int64_t size) {
  const int64_t in_window = offset - window_begin_;
  if (in_window < 0 || in_window + size > static_cast<int64_t>(window_.size())) {
    const int64_t wanted = std::max(size, kWindow);
    window_.resize(static_cast<size_t>(std::min(wanted, end_ - offset)));
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
  do {
    const int64_t left = end_ - at_;
    if (left <= 0) {
      warnings_.emplace_back("no end-of-archive blocks; was it cut between two members?");
      return false;
    }
    if (left < kTarBlock) refuse(at_, "cut: {} bytes left, expected a header of 512", left);
    std::ranges::copy(view(at_, kTarBlock), header_.begin());
    header_at_ = at_;
    if (std::ranges::any_of(header_, is_set)) break;
    if (extra_.any) refuse(header_at_, "extra headers without a member");
    if (!goes_on()) return false;
  } while (true);
  const int64_t noted = number(tar_field::kChecksum, "checksum");
  if (!is_tar_header(header_))
    refuse(at_, "no tar header: the checksum is {}, the bytes add up to {}", noted,
           tar_checksum(header_));
  const auto magic = tar_text(header_, tar_field::kMagic);
  if (magic != kPosixMagic && magic != kGnuMagic && magic != kOldMagic)
    refuse(at_, "neither ustar, pax, GNU nor v7 tar");
  at_ += kTarBlock;
  return true;
}

/// At a zero block: whether another archive follows, to which it moves. Nothing but that may.
bool TarReader::goes_on() {
  if (end_ - at_ == kTarBlock) warnings_.emplace_back("one end-of-archive block, expected two");
  for (int64_t from = at_ + kTarBlock; from < end_; from += kWindow) {
    const auto bytes = view(from, std::min(kWindow, end_ - from));
    const auto found = std::ranges::find_if(bytes, is_set);
    if (found == bytes.end()) {
      if (from - at_ > kMostPadding)
        refuse(at_, "{} bytes after the end of the archive", end_ - at_);
      continue;
    }
    const int64_t place = from + (found - bytes.begin());
    const int64_t block = place - place % kTarBlock;
    if (block + kTarBlock > end_ || !is_tar_header(view(block, kTarBlock)))
      refuse(place, "the archive ended at {}, but more follows, which is no archive", at_);
    if (!is_chain_)
      warnings_.push_back(fmt::format(
          "several archives in one file, the second from {}; they are read as one", block));
    is_chain_ = true;
    at_ = block;
    return true;
  }
  at_ = end_;
  return false;
}

int64_t TarReader::number(TarField field, const char* what) const {
  const int64_t value = tar_number(header_, field);
  if (value < 0)
    refuse(header_at_ + static_cast<int64_t>(field.begin), "the {} is not a number that fits",
           what);
  return value;
}

std::string TarReader::name_in_header() const {
  std::string name(until_zero(tar_text(header_, tar_field::kName)));
  if (tar_text(header_, tar_field::kMagic) != kPosixMagic) return name;
  const auto prefix = until_zero(tar_text(header_, tar_field::kPrefix));
  return prefix.empty() ? name : std::string(prefix) + "/" + name;
}

/// Checks that the content lies in the archive and moves behind it; returns where it begins.
int64_t TarReader::skip_content(int64_t size) {
  const int64_t begin = at_;
  const int64_t left = end_ - begin;
  if (size > left)
    refuse(header_at_, "cut: {} has {} bytes, but {} are left",
           one_line(until_zero(tar_text(header_, tar_field::kName))), size, left);
  const int64_t odd = size % kTarBlock;
  at_ = begin + size + (odd == 0 ? 0 : kTarBlock - odd);
  return begin;
}

bool TarReader::next(TarMember& member) {
  extra_ = {};
  member_at_ = at_;
  while (read_header()) {
    const int64_t size = number(tar_field::kSize, "size");
    const char type = member_type();
    switch (type) {
      case 'L':
        read_long_name(size, extra_.gnu_name);
        break;
      case 'K':
        read_long_name(size, extra_.gnu_link);
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
        finish_file(member, size);
        return true;
      case '1':
        finish_hard_link(member, size);
        return true;
      case '2':
      case '3':
      case '4':
      case '6':
        // Links, devices and FIFOs have no content, whatever the size says.
        pass_over(member);
        return true;
      default:
        refuse(header_at_, "{} is {}, expected files and folders only", one_line(name()),
               kind_of(type));
    }
  }
  if (extra_.any) refuse(header_at_, "extra headers without a member");
  if (passed_over_ > 0)
    warnings_.push_back(fmt::format(
        "passed over what is no file but a link, device or FIFO: {} in all, the first at {}, {}",
        passed_over_, first_passed_at_, one_line(first_passed_)));
  passed_over_ = 0;
  return false;
}

/// The type of the member at hand. Before POSIX a folder was a file whose name ends in a slash.
char TarReader::member_type() const {
  const char type = static_cast<char>(header_[tar_field::kType.begin]);
  return type == '\0' && name().ends_with('/') ? '5' : type;
}

std::string TarReader::name() const {
  return extra_.path.value_or(extra_.gnu_name.value_or(name_in_header()));
}

void TarReader::read_long_name(int64_t size, std::optional<std::string>& name) {
  if (name) refuse(header_at_, "two long names for one member");
  if (size > static_cast<int64_t>(kMaxTarName) + 1)
    refuse(header_at_, "a name of {} bytes, expected at most {}", size, kMaxTarName);
  const auto bytes = view(skip_content(size), size);
  name = until_zero({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
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
    const int64_t length = whole_number(rest.substr(0, std::min(space, rest.size())));
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
  if (key == "linkpath" && !global) extra_.link_path = value;
  if (key != "path" && key != "size") return;
  if (global) refuse(header_at_, "a pax {} for all members", key);
  if (key == "path" ? extra_.path.has_value() : extra_.size.has_value())
    refuse(header_at_, "two pax records for {}", key);
  if (key == "path") {
    extra_.path = value;
    return;
  }
  extra_.size = whole_number(value);
  if (*extra_.size < 0) refuse(header_at_, "the pax size is not a number that fits");
}

void TarReader::take_name(TarMember& member) const {
  member.name = without_dot(name());
  if (const std::string fault = tar_name_fault(member.name); !fault.empty())
    refuse(header_at_, "{}: {}", one_line(member.name.substr(0, 200)), fault);
  member.header = header_at_;
}

void TarReader::finish_file(TarMember& member, int64_t size) {
  if (extra_.size && *extra_.size != size) {
    if (*extra_.size < kOctalLimit)
      refuse(header_at_, "the pax size is {}, the header's {}", *extra_.size, size);
    size = *extra_.size;
  }
  take_name(member);
  member.size = size;
  member.begin = skip_content(size);
  member.is_file = true;
  if (files_) (*files_)[member.name] = {member.begin, member.size};
}

/// A hard link has the content of a file before it. Its size may be that file's, with nothing behind
/// the header; some pax archives do have the content there.
void TarReader::finish_hard_link(TarMember& member, int64_t size) {
  const auto is_end = [](std::span<const uint8_t> block) {
    return std::ranges::none_of(block, is_set) || is_tar_header(block);
  };
  if (size > 0 && end_ - at_ >= kTarBlock && !is_end(view(at_, kTarBlock)))
    return finish_file(member, size);
  const std::string header_link(until_zero(tar_text(header_, tar_field::kLink)));
  const std::string link = extra_.link_path.value_or(extra_.gnu_link.value_or(header_link));
  remember_files();
  const auto target = files_->find(std::string(without_dot(link)));
  if (target == files_->end()) return pass_over(member);
  take_name(member);
  member.begin = target->second.begin;
  member.size = target->second.size;
  member.is_file = true;
  (*files_)[member.name] = target->second;
}

/// Goes over the members before the one at hand, unless that was done.
void TarReader::remember_files() {
  if (files_) return;
  TarReader earlier(archive_, member_at_);
  earlier.files_.emplace();
  TarMember member;
  while (earlier.next(member)) continue;
  files_ = std::move(earlier.files_);
}

void TarReader::pass_over(TarMember& member) {
  take_name(member);
  member.begin = at_;
  member.size = 0;
  member.is_file = false;
  if (passed_over_++ > 0) return;
  first_passed_ = member.name;
  first_passed_at_ = header_at_;
}

}  // namespace pal
