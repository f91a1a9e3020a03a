#include "data/archives/tar_format.h"

#include <fmt/core.h>

#include <numeric>

namespace pal {

int64_t tar_checksum(std::span<const uint8_t> header) {
  const int64_t all = std::accumulate(header.begin(), header.end(), int64_t{0});
  const auto own = header.subspan(tar_field::kChecksum.begin, tar_field::kChecksum.size);
  return all - std::accumulate(own.begin(), own.end(), int64_t{0}) +
         static_cast<int64_t>(own.size()) * ' ';
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
