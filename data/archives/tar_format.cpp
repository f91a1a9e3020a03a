#include "data/archives/tar_format.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <numeric>

#include "runtime/text.h"

namespace pal {
namespace {

/// GNU's binary numbers: a set first bit, then a big-endian one.
int64_t binary_number(std::string_view text) {
  uint64_t value = static_cast<uint8_t>(text[0]) & 0x7f;
  for (const char c : text.substr(1)) {
    if (value >> 55 != 0) return -1;
    value = value << 8 | static_cast<uint8_t>(c);
  }
  return static_cast<int64_t>(value);
}

}  // namespace

int64_t tar_checksum(std::span<const uint8_t> header) {
  const int64_t all = std::accumulate(header.begin(), header.end(), int64_t{0});
  const auto own = header.subspan(tar_field::kChecksum.begin, tar_field::kChecksum.size);
  return all - std::accumulate(own.begin(), own.end(), int64_t{0}) +
         static_cast<int64_t>(own.size()) * ' ';
}

int64_t tar_number(std::span<const uint8_t> header, TarField field) {
  std::string_view text = tar_text(header, field);
  if (static_cast<uint8_t>(text[0]) == 0x80) return binary_number(text);
  text = trimmed(text.substr(0, text.find('\0')), " ");
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  return error == std::errc() && end == text.data() + text.size() ? value : -1;
}

bool is_tar_header(std::span<const uint8_t> block) {
  if (block.size() < static_cast<size_t>(kTarBlock)) return false;
  const auto header = block.first(static_cast<size_t>(kTarBlock));
  const int64_t noted = tar_number(header, tar_field::kChecksum);
  const int64_t sum = tar_checksum(header);
  const auto own = header.subspan(tar_field::kChecksum.begin, tar_field::kChecksum.size);
  const auto is_high = [](uint8_t byte) { return byte >= 0x80; };
  const auto high = std::ranges::count_if(header, is_high) - std::ranges::count_if(own, is_high);
  return noted == sum || (noted >= 0 && noted == sum - 256 * high);
}

std::string tar_name_fault(std::string_view name) {
  if (name.empty()) return "the name is empty";
  if (name.size() > kMaxTarName)
    return fmt::format("a name of {} bytes, expected at most {}", name.size(), kMaxTarName);
  if (name.find('\0') != std::string_view::npos) return "a zero byte in the name";
  if (name.front() == '/') return "the name is absolute";
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    if (name.substr(begin, end - begin) == "..") return "the name climbs out of its folder";
    begin = end + 1;
  }
  return {};
}

}  // namespace pal
