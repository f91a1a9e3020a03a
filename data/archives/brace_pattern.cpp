#include "data/archives/brace_pattern.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include "runtime/error.h"
#include "runtime/paths.h"
#include "runtime/random_reader.h"
#include "runtime/text.h"

namespace pal {
namespace {

constexpr size_t kMostResults = 1'000'000;
constexpr size_t kMostLength = 4096;
constexpr size_t kMostDigits = 15;

/// Refuses a pattern.
class Complaint {
 public:
  explicit Complaint(const std::string& pattern) : pattern_(pattern) {}
  [[noreturn]] void operator()(std::string_view what) const {
    fail(ErrorKind::usage, "{}: {}; expected {{first..last}} or {{one,other}}", one_line(pattern_),
         what);
  }

 private:
  const std::string& pattern_;
};

struct Range {
  int64_t first = 0;
  int64_t last = 0;
  size_t width = 0;

  uint64_t count() const { return static_cast<uint64_t>(std::abs(last - first)) + 1; }
};

std::optional<int64_t> number(std::string_view digits) {
  int64_t value = 0;
  const bool plain = !digits.empty() && digits.size() <= kMostDigits &&
                     digits.find_first_not_of("0123456789") == std::string_view::npos;
  if (!plain) return {};
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

std::optional<Range> range_of(std::string_view group) {
  const size_t dots = group.find("..");
  if (dots == std::string_view::npos) return {};
  const std::string_view left = group.substr(0, dots);
  const std::string_view right = group.substr(dots + 2);
  const auto first = number(left);
  const auto last = number(right);
  if (!first || !last) return {};
  const bool padded = (left.size() > 1 && left[0] == '0') || (right.size() > 1 && right[0] == '0');
  return Range{*first, *last, padded ? std::max(left.size(), right.size()) : 0};
}

std::vector<std::string> members_of(std::string_view group, const Complaint& refuse) {
  std::vector<std::string> members;
  if (const auto range = range_of(group)) {
    if (range->count() > kMostResults) refuse("a range of more than 1,000,000");
    const int64_t step = range->first <= range->last ? 1 : -1;
    for (int64_t value = range->first; value != range->last + step; value += step)
      members.push_back(fmt::format("{:0{}}", value, range->width));
    return members;
  }
  if (group.find(',') == std::string_view::npos)
    refuse(fmt::format("{{{}}} is neither a range of numbers nor a list", one_line(group)));
  for (size_t begin = 0; begin <= group.size();) {
    const size_t end = std::min(group.find(',', begin), group.size());
    members.emplace_back(group.substr(begin, end - begin));
    begin = end + 1;
  }
  return members;
}

}  // namespace

std::vector<std::string> expand_braces(const std::string& pattern) {
  const Complaint refuse(pattern);
  if (pattern.size() > kMostLength) refuse("a pattern of more than 4096 bytes");
  std::vector<std::string> results = {""};
  std::string_view rest = pattern;
  while (true) {
    const size_t open = std::min(rest.find_first_of("{}"), rest.size());
    for (std::string& result : results) result += rest.substr(0, open);
    if (open == rest.size()) return results;
    if (rest[open] == '}') refuse("a closing brace without an opening one");
    const size_t close = rest.find_first_of("{}", open + 1);
    if (close == std::string_view::npos) refuse("a brace that is not closed");
    if (rest[close] == '{') refuse("a brace within braces");
    const auto members = members_of(rest.substr(open + 1, close - open - 1), refuse);
    if (members.size() > kMostResults / results.size()) refuse("more than 1,000,000 results");
    std::vector<std::string> longer;
    longer.reserve(results.size() * members.size());
    for (const std::string& result : results)
      for (const std::string& member : members) longer.push_back(result + member);
    results = std::move(longer);
    rest.remove_prefix(close + 1);
  }
}

std::vector<std::string> find_shards(const std::string& folder_or_pattern) {
  namespace fs = std::filesystem;
  if (!path_is_folder(folder_or_pattern)) return expand_braces(folder_or_pattern);
  std::error_code error;
  std::vector<std::string> paths;
  for (fs::directory_iterator at(folder_or_pattern, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.ends_with(".tar") && name[0] != '.') paths.push_back(at->path().string());
  }
  if (error)
    fail(is_file_fault(error.value()) ? ErrorKind::data : ErrorKind::environment,
         "{}: cannot list the folder: {}", one_line(folder_or_pattern), error.message());
  expect(!paths.empty(), "{}: no tar shards *.tar", one_line(folder_or_pattern));
  std::ranges::sort(paths);
  return paths;
}

}  // namespace pal
