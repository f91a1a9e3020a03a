#include "data/archives/tar_writer.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>

#include "data/archives/tar_format.h"
#include "runtime/error.h"
#include "runtime/text.h"

namespace pal {
namespace {

constexpr uint64_t kMostContent = (uint64_t{1} << 33) - 1;

void put(TarHeader& header, TarField field, std::string_view text) {
  std::ranges::copy(text.substr(0, field.size), header.data() + field.begin);
}

/// Octal digits that fill the field but for its last byte, a zero.
void put_number(TarHeader& header, TarField field, uint64_t value) {
  put(header, field, fmt::format("{:0{}o}", value, field.size - 1));
}

TarHeader make_header(char type, uint64_t size, std::string_view magic) {
  TarHeader header{};
  put_number(header, tar_field::kMode, 0644);
  put_number(header, tar_field::kUid, 0);
  put_number(header, tar_field::kGid, 0);
  put_number(header, tar_field::kSize, size);
  put_number(header, tar_field::kTime, 0);
  put(header, tar_field::kType, {&type, 1});
  put(header, tar_field::kMagic, magic);
  return header;
}

void seal(TarHeader& header) {
  put(header, tar_field::kChecksum, fmt::format("{:06o}", tar_checksum(header)));
  header[tar_field::kChecksum.begin + 7] = ' ';
}

/// Where ustar may split a long name in two: at a slash with at most 155 bytes before and 1 to 100
/// behind it.
size_t split_point(std::string_view name) {
  const size_t slash = name.rfind('/', tar_field::kPrefix.size);
  const bool fits = slash != std::string_view::npos && slash > 0 && slash + 1 < name.size() &&
                    name.size() - slash - 1 <= tar_field::kName.size;
  return fits ? slash : std::string_view::npos;
}

}  // namespace

void TarWriter::write_padded(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return;
  sink_(bytes);
  constexpr TarHeader kZeros{};
  if (const size_t odd = bytes.size() % kTarBlock; odd != 0)
    sink_(std::span(kZeros).first(kTarBlock - odd));
}

void TarWriter::add(const std::string& name, std::span<const uint8_t> content) {
  const std::string fault = tar_name_fault(name);
  expect(fault.empty(), "tar member {}: {}", one_line(name.substr(0, 200)), fault);
  expect(content.size() <= kMostContent, "tar member {}: {} bytes, expected less than 8 GiB",
         one_line(name), content.size());
  std::string_view short_name = name;
  std::string_view prefix;
  std::string_view magic = kPosixMagic;
  if (name.size() > tar_field::kName.size) {
    if (const size_t split = split_point(name); split != std::string_view::npos) {
      prefix = short_name.substr(0, split);
      short_name = short_name.substr(split + 1);
    } else {
      magic = kGnuMagic;
      TarHeader header = make_header('L', name.size() + 1, magic);
      put(header, tar_field::kName, kGnuLongName);
      seal(header);
      write_padded(header);
      write_padded({reinterpret_cast<const uint8_t*>(name.c_str()), name.size() + 1});
    }
  }
  TarHeader header = make_header('0', content.size(), magic);
  put(header, tar_field::kName, short_name);
  put(header, tar_field::kPrefix, prefix);
  seal(header);
  write_padded(header);
  write_padded(content);
}

void TarWriter::finish() {
  constexpr TarHeader kZeros{};
  for (int block = 0; block < 2; ++block) sink_(kZeros);
}

}  // namespace pal
