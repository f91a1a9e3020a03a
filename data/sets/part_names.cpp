#include "data/sets/part_names.h"

#include <utility>

#include "runtime/text.h"

namespace pal {
namespace {

constexpr std::pair<const char*, Split> kWords[] = {
    {"train", Split::train},      {"training", Split::train},        {"val", Split::validation},
    {"valid", Split::validation}, {"validation", Split::validation}, {"dev", Split::validation},
    {"test", Split::test},        {"testing", Split::test}};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace

std::optional<Split> part_of_folder(const std::string& name) {
  const std::string lower = lower_case(name);
  for (const auto& [word, part] : kWords)
    if (lower == word) return part;
  return {};
}

std::string part_word(const std::string& shard) {
  const std::string lower = lower_case(shard);
  std::string longest;
  for (const auto& [text, part] : kWords) {
    const std::string word = text;
    // "device-000.tar" is no part; "trainset.tar" is one.
    const bool ends = word != "dev" || lower.size() == 3 || !is_letter(lower[3]);
    if (lower.starts_with(word) && ends && word.size() > longest.size()) longest = word;
  }
  return longest;
}

std::optional<Split> part_of_shard(const std::string& name) {
  return part_of_folder(part_word(name));
}

std::string folder_list(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 < names.size() ? ", " : " and ";
    text += one_line(names[i]) + "/";
  }
  return text;
}

}  // namespace pal
