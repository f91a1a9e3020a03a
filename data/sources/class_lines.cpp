#include <string_view>

#include "data/sources/class_list.h"
#include "runtime/error.h"
#include "runtime/text.h"

namespace pal {
namespace {

constexpr std::string_view kSpace = " \t";

bool has_control(std::string_view text) {
  for (const char c : text)
    if ((static_cast<uint8_t>(c) < 0x20 && c != '\t') || c == 0x7f) return true;
  return false;
}

ClassEntry entry_of(std::string_view line) {
  const size_t space = line.find_first_of(kSpace);
  ClassEntry entry;
  entry.name = line;
  if (space == std::string_view::npos) return entry;
  entry.id = line.substr(0, space);
  entry.rest = trimmed(line.substr(space), kSpace);
  return entry;
}

}  // namespace

std::vector<ClassEntry> parse_class_lines(std::span<const uint8_t> bytes, const std::string& file) {
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (rest.starts_with(kByteOrderMark)) rest.remove_prefix(kByteOrderMark.size());
  // Editors and tools leave blank lines at the end.
  rest = rest.substr(0, rest.find_last_not_of(" \t\r\n") + 1);
  std::vector<ClassEntry> entries;
  while (!rest.empty()) {
    const size_t number = entries.size() + 1;
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    line = trimmed(line, kSpace);
    if (line.empty()) fail(ErrorKind::data, "{}:{}: a blank line, expected a name", file, number);
    if (valid_utf8_length(line) < line.size() || has_control(line))
      fail(ErrorKind::data, "{}:{}: {} is not a name in UTF-8", file, number,
           one_line(line.substr(0, 80)));
    entries.push_back(entry_of(line));
  }
  return entries;
}

}  // namespace pal
